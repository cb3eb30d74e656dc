"""A sparse encoder is told, or refused, by names alone: alike for a folder and for a model of the hub."""

import json
import os
import subprocess
import sys

import pytest

from evaluations.inspection import inspect_folder
from evaluations.systems.sparse_heads import CAUSAL_HEADS, MASKED_HEADS
from tests.conftest import ROOT
from tests.evaluations.hostile import forging
from tests.evaluations.inspection.sparse_models import FORMS, NO_HEAD, WHOLE
from tests.stand_in_hub import running

MODELS = WHOLE | {name: files for name, (files, _) in NO_HEAD.items()}
LARGE = 2**23
ODD = {
    "zero": {**WHOLE["plain"], "model.safetensors": b"\0" * 8 + b"x" * LARGE},
    "bomb": {**WHOLE["plain"], "model.safetensors": b"\xff" * 8 + b"x" * LARGE},
    "list": {**WHOLE["sharded"], "model.safetensors.index.json": b"[]"},
}
ALL = """
import json, sys
from evaluations.inspection import inspect_model
found = {name: inspect_model(f"org/{name}", kind="sparse") for name in sys.argv[1:]}
print(json.dumps({name: [each.safe, each.form, each.why] for name, each in found.items()}))
"""


@pytest.fixture(scope="module")
def of_the_hub(tmp_path_factory):
    """What one process says of all the models of a hub: (safe, form, why)."""
    models = MODELS | ODD
    with running({f"org/{name}": files for name, files in models.items()}) as hub:
        variables = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path_factory.mktemp("hf"))}
        done = subprocess.run(
            [sys.executable, "-c", ALL, *models], cwd=ROOT, env={**os.environ, **variables},
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    return json.loads(done.stdout)


@pytest.fixture
def of_a_folder(tmp_path):
    def inspected(name):
        found = inspect_folder(forging.write(tmp_path / name, MODELS[name]), kind="sparse")
        return [found.safe, found.form, found.why]

    return inspected


@pytest.mark.parametrize("name", WHOLE)
def test_what_has_its_head_is_taken_in_its_form(of_the_hub, of_a_folder, name):
    assert of_the_hub[name] == of_a_folder(name) == [True, FORMS[name], ""]


@pytest.mark.parametrize("name", NO_HEAD)
def test_what_has_no_head_is_refused_on_the_hub_as_in_a_folder(of_the_hub, of_a_folder, name):
    for safe, _, why in (of_the_hub[name], of_a_folder(name)):
        assert not safe
        assert why.startswith("error[HEAD-MISSING]: ")
        assert NO_HEAD[name][1] in why


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zero", "model.safetensors does not name its tensors"),
        ("bomb", "declares a header of 18,446,744,073,709,551,615 bytes; at most 8,388,608 are read"),
        ("list", "model.safetensors.index.json has no weight_map of tensors"),
    ],
)
def test_weights_that_name_nothing_are_refused(of_the_hub, name, words):
    safe, _, why = of_the_hub[name]
    assert not safe
    assert why.startswith("error[MODEL-WEIGHTS]: ")
    assert words in why


SMALL = {
    "vocab_size": 17, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "n_heads": 2,
    "num_key_value_heads": 1, "intermediate_size": 8, "max_position_embeddings": 16, "head_dim": 8, "dim": 16,
    "n_layers": 1, "hidden_dim": 8, "embedding_size": 16, "num_local_experts": 2, "num_experts": 2,
    "moe_intermediate_size": 8, "shared_expert_intermediate_size": 8, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2,
}  # fmt: skip


@pytest.mark.parametrize("family", MASKED_HEADS)
def test_a_masked_models_head_is_where_transformers_has_it_and_shared_with_nothing(family):
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.for_model(family, **SMALL, tie_word_embeddings=True)
    stored = AutoModelForMaskedLM.from_config(config)
    assert MASKED_HEADS[family] in stored.state_dict()
    assert MASKED_HEADS[family] not in stored.all_tied_weights_keys


@pytest.mark.parametrize("family", CAUSAL_HEADS)
def test_a_causal_models_head_is_where_transformers_has_it(family):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(family, **SMALL, tie_word_embeddings=False)
    assert CAUSAL_HEADS[family] in AutoModelForCausalLM.from_config(config).state_dict()
