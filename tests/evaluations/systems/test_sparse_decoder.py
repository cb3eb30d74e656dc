"""Decoder-only sparse encoders: the pooled span by hand, attention and adapters by a second computation."""

import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system
from tests.evaluations.systems import tiny_mistral
from tests.evaluations.systems.tiny_bert import rows
from tests.evaluations.systems.tiny_mistral import BEGIN, OWN, SIZE, term

ECHO = "say : {text} again : {text} of a"
SETTING = f"document_template={ECHO}"
TEXTS = {"d1": "swept wing", "d2": "heat flow of a plate", "d3": "", "d4": "lift", "d5": "swept wing"}
KNOWN = np.log1p(4 * OWN)  # the silent model's weight of each word that is pooled: log(1 + 2)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("decoders")
    tied = {"tie_word_embeddings": True}
    return {
        "silent": tiny_mistral.silent(root / "silent"),
        "speaking": tiny_mistral.speaking(root / "speaking"),
        "tied": tiny_mistral.speaking(root / "tied", **tied),
    }


@pytest.fixture
def copy(folders, tmp_path):
    return lambda name: shutil.copytree(folders[name], tmp_path / name)


def system(folder, *settings):
    return KINDS["sparse"].load(parse_system(f"sparse:{folder}", settings), Runtime(device="cpu", threads=1))


def encoded(folder, texts, *settings, side="document"):
    return rows(system(folder, *settings).encoder.vectors(texts, side, lambda _: None))


def words(vector):
    return {tiny_mistral.VOCABULARY[place] for place in np.flatnonzero(vector)}


def refusal(folder, *settings):
    with pytest.raises(EvaluationError) as caught:
        system(folder, *settings)
    return str(caught.value)


def by_hand(folder, text, before, between, change=None):
    """log(1 + max(0, logit)) over the second copy, one text at a time, with the whole sequence's logits."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    if change:
        change(model)
    copy = [term(word) for word in text.split()]
    first = [BEGIN, *map(term, before.split()), *copy, *map(term, between.split())]
    with torch.no_grad():
        hidden = model.model(torch.tensor([first + copy])).last_hidden_state[0].numpy()
    head = model.lm_head.weight.detach().numpy()
    best = np.zeros(SIZE)
    for place in range(len(first), len(first) + len(copy)):
        best = np.maximum(best, hidden[place] @ head.T)
    return np.log(1 + best)


def test_it_works(folders):
    echo = system(folders["silent"], SETTING)
    echo.index(Documents(list(TEXTS), list(TEXTS.values())), Progress())
    ranked = echo.retrieve({"q": "swept lift"}, 10, Progress()).lists["q"]
    assert list(ranked.document_ids) == ["d5", "d4", "d1"]
    assert ranked.scores.tolist() == pytest.approx([KNOWN**2] * 3, rel=1e-6)


def test_only_the_second_copys_tokens_are_pooled(folders):
    found = encoded(folders["silent"], ["swept wing"], SETTING)[0]
    assert words(found) == {"swept", "wing"}  # not <s>, say, again, the colon, of or a
    assert found[found > 0] == pytest.approx(KNOWN, rel=1e-6)


def test_the_second_copy_has_seen_the_whole_text(folders):
    texts = [text for text in TEXTS.values() if text]
    found = encoded(folders["speaking"], texts, SETTING)
    expected = [by_hand(folders["speaking"], text, "say :", "again :") for text in texts]
    assert found == pytest.approx(np.array(expected), rel=1e-5, abs=1e-6)
    once = encoded(folders["speaking"], texts, "document_template=say : {text}")
    assert not np.allclose(once, found, rtol=1e-2)


def test_a_text_encoded_in_a_batch_is_as_alone(folders):
    texts = list(TEXTS.values())
    together = encoded(folders["speaking"], texts, SETTING)
    alone = [encoded(folders["speaking"], [text], SETTING)[0] for text in texts]
    assert together == pytest.approx(np.array(alone), rel=1e-5, abs=1e-6)


def test_an_empty_text_has_no_terms(folders):
    assert not encoded(folders["speaking"], ["", "lift"], SETTING)[0].any()
    assert not encoded(folders["speaking"], [""], SETTING).any()


def test_the_longest_length_counts_one_copy(folders):
    found = encoded(folders["silent"], ["swept wing lift heat flow"], SETTING, "max_length=3")[0]
    assert words(found) == {"swept", "wing", "lift"}
    expected = by_hand(folders["speaking"], "swept wing lift", "say :", "again :")
    cut = encoded(folders["speaking"], ["swept wing lift heat flow"], SETTING, "max_length=3")[0]
    assert cut == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_without_a_length_both_copies_fit_the_models_positions(folders):
    assert system(folders["silent"], SETTING).provenance()["max_length"] == (64 - 5) // 2
    long = "wing " * 29 + "lift"
    assert words(encoded(folders["silent"], [long], SETTING)[0]) == {"wing"}


def test_a_length_that_the_positions_do_not_hold_is_refused(folders):
    assert "leaves 29 of the model's 64 positions" in refusal(folders["silent"], SETTING, "max_length=30")


def test_queries_take_their_own_template(folders):
    template = "query_template={text} again {text}"
    found = encoded(folders["speaking"], ["swept wing"], SETTING, template, side="query")[0]
    expected = by_hand(folders["speaking"], "swept wing", "", "again")
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
    same = encoded(folders["speaking"], ["swept wing"], SETTING, side="query")[0]
    assert same == pytest.approx(
        by_hand(folders["speaking"], "swept wing", "say :", "again :"), rel=1e-5, abs=1e-6
    )


def test_a_backslash_and_n_is_a_line_break():
    from evaluations.systems.decoder_sparse import Template

    class Characters:
        bos_token_id = None

        def __call__(self, text, **_):
            return {"input_ids": [ord(character) for character in text]}

    template = Template.parse("{text}\\n{text}", Characters())
    assert template.filled([7, 8]) == [7, 8, ord("\n"), 7, 8]


@pytest.mark.parametrize("template", ["again", "{text}{text}{text}"])
def test_a_template_holds_the_text_once_or_twice(folders, template):
    found = refusal(folders["silent"], f"document_template={template}")
    assert found.startswith(f"error[OPTION-RANGE]: option document_template: '{template}' has {{text}} ")


def test_a_causal_model_without_a_template_is_refused(folders):
    assert refusal(folders["silent"]).startswith("error[OPTION-MISSING]")


def test_prompts_belong_into_the_template(folders):
    assert refusal(folders["silent"], SETTING, "query_prompt=say").startswith("error[OPTION-UNUSED]")


def test_a_head_may_be_the_embeddings(folders):
    assert "lm_head.weight" not in load_file(folders["tied"] / "model.safetensors")
    found = encoded(folders["tied"], ["swept wing"], SETTING)[0]
    assert found == pytest.approx(
        by_hand(folders["tied"], "swept wing", "say :", "again :"), rel=1e-5, abs=1e-6
    )


def test_a_head_that_is_not_in_the_file_is_refused(copy):
    folder = copy("speaking")
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    found = refusal(folder, SETTING)
    assert found.startswith("error[HEAD-MISSING]")
    assert "lm_head.weight" in found


def test_a_decoder_whose_architecture_has_no_head_is_refused(copy):
    folder = copy("tied")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["MistralModel"]}))
    assert refusal(folder, SETTING).startswith("error[HEAD-MISSING]")


MODULES = ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", "lm_head")


def merged(pairs, scale):
    """Adds scale * B A to each module's weight, element by element; a tied head becomes one of its own."""
    import torch

    def change(model):
        for name, (down, up) in pairs.items():
            module = model.get_submodule(name)
            weight = module.weight.detach().double()
            for rank in range(len(down)):
                weight = weight + scale * torch.outer(up[:, rank].double(), down[rank].double())
            module.weight = torch.nn.Parameter(weight.float())

    return change


@pytest.mark.parametrize("name", ["speaking", "tied"])
def test_an_adapter_is_merged_as_alpha_over_r_times_b_a(copy, name):
    folder = copy(name)
    bare = by_hand(folder, "swept wing", "say :", "again :")
    pairs = tiny_mistral.adapter(folder, MODULES, rank=2, alpha=8)
    found = encoded(folder, ["swept wing"], SETTING)[0]
    expected = by_hand(folder, "swept wing", "say :", "again :", merged(pairs, 8 / 2))
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert not np.allclose(found, bare, rtol=1e-2)


def test_a_merged_adapter_adds_no_parameters(copy):
    folder = copy("speaking")
    before = system(folder, SETTING).encoder.model.parameters
    tiny_mistral.adapter(folder, MODULES)
    assert system(folder, SETTING).encoder.model.parameters == before


def test_an_adapter_without_its_base_is_refused(copy):
    folder = copy("speaking")
    tiny_mistral.adapter(folder, MODULES)
    (folder / "model.safetensors").unlink()
    assert refusal(folder, SETTING).startswith("error[MODEL-ADAPTER]")


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"use_rslora": True}, "use_rslora"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "biases"),
        ({"peft_type": "IA3"}, "LORA"),
        ({"r": 0}, "lora_alpha"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"lora_alpha": 10**400}, "lora_alpha"),
        ({"r": 10**400}, "lora_alpha"),
        ({"r": 16}, "rank 2"),
    ],
)
def test_an_adapter_that_is_no_plain_lora_is_refused_by_name(copy, setting, word):
    folder = copy("speaking")
    tiny_mistral.adapter(folder, MODULES, **setting)
    found = refusal(folder, SETTING)
    assert found.startswith("error[MODEL-ADAPTER]")
    assert word in found


def test_an_adapter_of_other_modules_is_refused_by_name(copy):
    folder = copy("speaking")
    tiny_mistral.adapter(folder, MODULES)
    tensors = load_file(folder / "adapter_model.safetensors")
    for wrong in (
        "model.layers.7.self_attn.q_proj.lora_A.weight",
        "model.norm.lora_A.weight",
        "lm_head.weight",
    ):
        extra = {f"base_model.model.{wrong}": tensors["base_model.model.lm_head.lora_A.weight"].clone()}
        if wrong.endswith("lora_A.weight"):
            other = wrong.replace("lora_A", "lora_B")
            extra[f"base_model.model.{other}"] = tensors["base_model.model.lm_head.lora_B.weight"].clone()
        save_file({**tensors, **extra}, folder / "adapter_model.safetensors")
        assert wrong.split(".lora")[0] in refusal(folder, SETTING)


def test_an_adapter_of_another_size_is_refused_by_name(copy):
    folder = copy("speaking")
    tiny_mistral.adapter(folder, MODULES)
    tensors = load_file(folder / "adapter_model.safetensors")
    name = "base_model.model.lm_head.lora_B.weight"
    for shape in ((8, 2), (16, 1)):
        changed = {**tensors, name: tensors[name][: shape[0], : shape[1]].clone()}
        save_file(changed, folder / "adapter_model.safetensors")
        assert refusal(folder, SETTING).startswith("error[MODEL-ADAPTER]: lm_head")
