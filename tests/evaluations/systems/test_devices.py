"""What `auto` stands for: from /proc/cpuinfo as three processors write it, and by what a GPU has."""

import pytest

from evaluations.systems.devices import best_precision, submitted_precision

ZEN3 = "processor\t: 0\nflags\t\t: fpu avx2 fma\n"
ZEN4 = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n"


@pytest.mark.parametrize(("text", "precision"), [(ZEN3, "fp32"), (ZEN4, "bf16"), (ARM, "bf16"), ("", "fp32")])
def test_bf16_where_the_processor_multiplies_in_it(tmp_path, text, precision):
    (tmp_path / "cpuinfo").write_text(text)
    assert submitted_precision("cpu", tmp_path / "cpuinfo") == precision


def test_a_gpu_does(tmp_path):
    assert submitted_precision("gpu", tmp_path / "absent") == "bf16"
    assert submitted_precision("cpu", tmp_path / "absent") == "fp32"


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_that_only_emulates_bf16_takes_fp16(monkeypatch, native, precision):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation
    )
    assert best_precision("cuda") == precision
