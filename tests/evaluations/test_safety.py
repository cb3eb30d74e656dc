"""What a submitted model's folder may not do. Each file here is one that a library would have obeyed."""

import errno
import json
import struct

import pytest

from evaluations.errors import EvaluationError
from evaluations.systems.safety import check_folder, module_folders
from evaluations.systems.settings_files import checking

NO_TENSORS = struct.pack("<Q", 2) + b"{}"
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "modules.json").write_text(json.dumps(MODULES))
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    (tmp_path / "model.safetensors").write_bytes(NO_TENSORS)
    return tmp_path


def refusal(folder) -> str:
    with pytest.raises(EvaluationError) as caught:
        check_folder(folder)
    return str(caught.value)


def test_an_ordinary_model_passes(folder):
    check_folder(folder)


def test_all_minilm_passes(minilm):
    check_folder(minilm)
    assert module_folders(minilm)[0] == minilm


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", {"auto_map": {"AutoModel": "modeling.Model"}}),
        ("config.json", {"text_config": [{"auto_map": {"AutoModel": "modeling.Model"}}]}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["tokenization.T", None]}}),
        ("config.json", {"attn_implementation": "kernels-community/flash-attn"}),
        ("config.json", {"_attn_implementation": "org/kernel"}),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}),
        ("1_Pooling/config.json", {"activation_function": "os.system"}),
        ("modules.json", [{"idx": 0, "path": "", "type": "modeling.Transformer"}]),
        ("modules.json", [{"idx": 0, "path": "", "type": "sentence_transformers_evil.Transformer"}]),
        (
            "modules.json",
            [{"idx": 0, "path": "../other", "type": "sentence_transformers.models.Transformer"}],
        ),
        ("router_config.json", {"types": {"query_0": "evil.Module"}}),
        ("1_Pooling/router_config.json", {"types": {"document_0": "evil.Module"}}),
    ],
)
def test_what_would_run_foreign_code_is_refused_by_file(folder, name, content):
    (folder / name).write_text(json.dumps(content))
    assert refusal(folder).startswith(f"error[MODEL-CODE]: {name} ")


def test_a_router_of_the_librarys_own_modules_passes(folder):
    types = {"query_0": "sentence_transformers.models.Transformer"}
    (folder / "router_config.json").write_text(json.dumps({"types": types}))
    check_folder(folder)


@pytest.mark.parametrize("name", ["router_config.json", "config.json"])
def test_pickled_weights_of_a_module_on_a_route_are_refused(folder, name):
    types = {"query_0": "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding"}
    (folder / name).write_text(json.dumps({"types": types, "structure": {"query": ["query_0"]}}))
    (folder / "query_0").mkdir()
    (folder / "query_0" / "pytorch_model.bin").write_bytes(b"")
    assert refusal(folder).startswith("error[MODEL-WEIGHTS]: query_0/pytorch_model.bin ")


def test_a_route_that_leads_out_of_the_model_is_refused(folder):
    types = {"../other": "sentence_transformers.models.Transformer"}
    (folder / "router_config.json").write_text(json.dumps({"types": types}))
    assert refusal(folder).startswith("error[MODEL-CODE]: modules.json ")


def test_pickled_weights_alone_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert refusal(folder).startswith("error[MODEL-WEIGHTS]")


def test_a_module_with_pickled_weights_is_refused_by_its_file(folder):
    (folder / "1_Pooling" / "pytorch_model.bin").write_bytes(b"")
    assert refusal(folder).startswith("error[MODEL-WEIGHTS]: 1_Pooling/pytorch_model.bin ")


def shard(folder, names=("model-1.safetensors", "model-2.safetensors")):
    (folder / "model.safetensors").unlink()
    for name in names:
        (folder / name).write_bytes(NO_TENSORS)
    index = {"metadata": {}, "weight_map": {f"w{place}": name for place, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_a_model_in_shards_passes_also_beside_its_pickles(folder):
    shard(folder)
    check_folder(folder)
    (folder / "pytorch_model-00001-of-00001.bin").write_bytes(b"")
    (folder / "pytorch_model.bin.index.json").write_text("{}")
    check_folder(folder)


def test_an_index_that_lost_a_shard_is_refused_and_says_which(folder):
    shard(folder)
    (folder / "model-2.safetensors").unlink()
    said = refusal(folder)
    assert said.startswith("error[MODEL-WEIGHTS]: model.safetensors.index.json names the shard ")
    assert "model-2.safetensors" in said


def test_an_old_index_beside_the_whole_weights_is_left_alone(folder):
    shard(folder)
    (folder / "model.safetensors").write_bytes(NO_TENSORS)
    (folder / "model-2.safetensors").unlink()
    check_folder(folder)


def test_settings_that_change_no_size_pass(folder):
    settings = {
        "max_seq_length": 512, "do_lower_case": False, "model_args": {"torch_dtype": "float16"},
        "tokenizer_args": {"model_max_length": 512, "padding_side": "left"}, "config_kwargs": {},
    }  # fmt: skip
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))
    check_folder(folder)


def test_a_legacy_router_of_the_librarys_own_modules_passes(folder):
    types = {"query_0": "sentence_transformers.models.Transformer"}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"types": types}))
    (folder / "1_Pooling" / "query_0").mkdir()
    check_folder(folder)
    assert folder / "1_Pooling" / "query_0" in module_folders(folder)


@pytest.mark.parametrize(
    "error",
    [ValueError("v"), TypeError("t"), OverflowError("o"), RecursionError("r"), RuntimeError("u"),
     OSError(errno.ENAMETOOLONG, "File name too long")],
)  # fmt: skip
def test_what_no_check_foresaw_is_refused_with_what_and_where(error):
    with pytest.raises(EvaluationError) as caught, checking("MODEL-CONFIG", "config.json"):
        raise error
    said = f"error[MODEL-CONFIG]: config.json cannot be checked ({type(error).__name__}: "
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), MemoryError()])
def test_what_the_machine_lacks_is_not_the_submitters_fault(error):
    with pytest.raises(type(error)), checking("MODEL-CONFIG", "config.json"):
        raise error


def test_pickles_beside_safetensors_are_left_alone(folder):
    (folder / "pytorch_model.bin").write_bytes(b"")
    check_folder(folder)


def test_an_adapter_of_a_model_that_nobody_pinned_is_refused(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/other"}))
    assert refusal(folder).startswith("error[MODEL-ADAPTER]: adapter_config.json ")


def test_an_adapter_beside_the_whole_model_passes_where_the_kind_merges_it(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/other"}))
    (folder / "adapter_model.safetensors").write_bytes(NO_TENSORS)
    check_folder(folder, own_adapter=True)
    (folder / "model.safetensors").unlink()
    with pytest.raises(EvaluationError, match="MODEL-ADAPTER"):
        check_folder(folder, own_adapter=True)


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    assert "only safetensors are loaded" in refusal(folder)


@pytest.mark.parametrize("content", ["{", "[" * 10**5, "\xff"])
def test_a_damaged_configuration_is_refused_by_name(folder, content):
    (folder / "config.json").write_bytes(content.encode("latin-1"))
    assert refusal(folder).startswith("error[MODEL-CONFIG]: config.json")


def test_settings_nested_beyond_recursion_are_still_read(folder):
    deep = '{"a":' * 500 + '{"auto_map": {}}' + "}" * 500
    (folder / "config.json").write_text(deep)
    assert refusal(folder).startswith("error[MODEL-CODE]")
