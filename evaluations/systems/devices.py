"""Which processor, and which precision it does well. Imports torch where it must ask it."""

from pathlib import Path

from evaluations.errors import EvaluationError

PRECISIONS = ("fp32", "bf16", "fp16")
AUTO = "auto"
NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # of x86, of x86, of ARM


def resolve_device(device: str) -> str:
    """`cpu` or `cuda`. Raises EvaluationError `DEVICE` where cuda is asked for and is not there."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError("DEVICE", "no CUDA device is available here; use --device cpu or auto")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def best_precision(device: str) -> str:
    """bf16 where the device multiplies in it, otherwise fp16 on a GPU and fp32 on a processor."""
    import torch

    if resolve_device(device) == "cuda":
        # A GPU that only emulates bf16 (a T4, a V100) is slower in it than in fp16, which it has.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return submitted_precision("cpu")


def submitted_precision(device: str, processor: Path = Path("/proc/cpuinfo")) -> str:
    """What `auto` becomes when it is submitted for `cpu` or `gpu`; asks no torch, which the web lacks.

    Every GPU that evaluates is taken to multiply in bf16, as those do since 2020.
    """
    return "bf16" if device != "cpu" or NATIVE_BF16 & _flags(processor) else "fp32"


def _flags(processor: Path) -> frozenset[str]:
    try:
        lines = processor.read_text().splitlines()
    except OSError:
        return frozenset()
    names = (line.partition(":") for line in lines if line.lower().startswith(("flags", "features")))
    return frozenset(next((flags.split() for _, _, flags in names), ()))
