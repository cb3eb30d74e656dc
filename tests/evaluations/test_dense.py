"""Dense models: a tiny BERT made here, and all-MiniLM-L6-v2 where its package is installed."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.abilities import encodes
from evaluations.systems.parse import parse_system

WORDS = ["wing", "swept", "lift", "heat", "layer", "boundary", "flow", "query", ":", "of", "a"]
DOCUMENTS = {
    "d1": "swept wing",
    "d2": "boundary layer",
    "d3": "heat flow",
    "d4": "swept wing",
    "d5": "",
    "d6": "lift",
}


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A sentence-transformers model of a few thousand random parameters, saved as a submitter would."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    config = BertConfig(
        vocab_size=len(WORDS) + 5, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    transformer = Transformer(str(folder))
    model = SentenceTransformer(
        modules=[transformer, Pooling(transformer.get_embedding_dimension())],
        prompts={"query": "query: ", "document": ""},
        similarity_fn_name="dot",
        device="cpu",
    )
    saved = tmp_path_factory.mktemp("tiny-bert")
    model.save(str(saved), safe_serialization=True)
    return saved


@pytest.fixture
def copy(tiny_bert, tmp_path):
    return shutil.copytree(tiny_bert, tmp_path / "copy")


def loaded(folder, *settings, documents=DOCUMENTS):
    spec = parse_system(f"dense:{folder}", settings)
    system = KINDS["dense"].load(spec, Runtime(device="cpu"))
    system.index(Documents(list(documents), list(documents.values())), Progress())
    return system


def retrieved(system, text, depth=10):
    ranked = system.retrieve({"q": text}, depth, Progress()).lists["q"]
    return dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))


def plain(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def test_it_works(tiny_bert):
    found = retrieved(loaded(tiny_bert), "wing")
    model = plain(tiny_bert)
    expected = model.encode_query(["wing"]) @ model.encode_document(list(DOCUMENTS.values())).T
    assert set(found) == set(DOCUMENTS)
    for document, score in zip(DOCUMENTS, expected[0], strict=True):
        assert found[document] == pytest.approx(score, rel=1e-4)


def test_equal_texts_have_equal_scores_and_their_ids_decide(tiny_bert):
    found = retrieved(loaded(tiny_bert), "swept wing")
    assert found["d1"] == found["d4"]
    assert list(found).index("d4") < list(found).index("d1")


def test_queries_take_the_models_prompt_and_a_prompt_of_the_spec_replaces_it(tiny_bert):
    own = retrieved(loaded(tiny_bert), "wing")
    assert retrieved(loaded(tiny_bert, "query_prompt=query: "), "wing") == own
    assert retrieved(loaded(tiny_bert, "query_prompt=heat of a "), "wing") != own


def test_a_document_prompt_is_put_before_documents_only(tiny_bert):
    by_prompt = loaded(tiny_bert, "document_prompt=of a ", documents={"d": "wing"})
    by_hand = loaded(tiny_bert, documents={"d": "of a wing"})
    assert retrieved(by_prompt, "heat")["d"] == pytest.approx(retrieved(by_hand, "heat")["d"], rel=1e-5)


def test_cosine_is_searched_on_vectors_of_length_one(copy):
    settings = json.loads((copy / "config_sentence_transformers.json").read_text())
    (copy / "config_sentence_transformers.json").write_text(
        json.dumps({**settings, "similarity_fn_name": "cosine"})
    )
    found = retrieved(loaded(copy), "swept wing")
    assert all(-1.000001 <= score <= 1.000001 for score in found.values())


def test_the_longest_text_can_be_shortened(tiny_bert):
    documents = {"long": "wing " * 30, "short": "wing wing"}
    found = retrieved(loaded(tiny_bert, "max_length=4", documents=documents), "heat")
    assert found["long"] == pytest.approx(found["short"], rel=1e-4)


def test_a_length_beyond_the_models_positions_is_refused(tiny_bert):
    with pytest.raises(EvaluationError, match=r"OPTION-RANGE.*65 is more than the model's 64 positions"):
        loaded(tiny_bert, "max_length=65")


def test_bf16_is_near_fp32_and_not_it(tiny_bert):
    fp32, bf16 = retrieved(loaded(tiny_bert), "wing"), retrieved(loaded(tiny_bert, "precision=bf16"), "wing")
    assert fp32 != bf16
    assert bf16 == pytest.approx(fp32, rel=0.05)


def test_a_checkpoint_in_bf16_is_still_computed_in_fp32(copy):
    import torch

    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    system = loaded(copy)
    assert {parameter.dtype for parameter in system.encoder.module.parameters()} == {torch.float32}


def test_sparsity_and_provenance(tiny_bert):
    system = loaded(tiny_bert)
    found = system.sparsity().metrics
    stored = sum(tensor.size for tensor in load_file(tiny_bert / "model.safetensors").values())
    assert found["parameters"] == found["active_parameters"] == stored
    assert (found["dimensions"], found["bytes_per_vector"], found["index_bytes"]) == (16, 64, 6 * 64)
    assert {"device", "precision", "threads", "fp32_products"} <= set(system.provenance())
    assert set(system.files) >= {"model.safetensors", "config.json", "modules.json"}


def test_progress_counts_every_text_once(tiny_bert):
    done = []

    class Counting(Progress):
        def advanced(self, count):
            done.append((self.name, count))

    spec = parse_system(f"dense:{tiny_bert}")
    system = KINDS["dense"].load(spec, Runtime(device="cpu"))
    system.index(Documents(list(DOCUMENTS), list(DOCUMENTS.values())), Counting())
    assert sum(count for _, count in done) == len(DOCUMENTS)


def test_a_tensor_that_would_be_random_is_refused(copy):
    tensors = load_file(copy / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EvaluationError, match=r"HEAD-MISSING.*encoder.layer.1.output.dense.weight"):
        loaded(copy)


def test_berts_pooler_may_be_missing_since_nothing_reads_it(copy, tiny_bert):
    tensors = load_file(copy / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("pooler.")}
    assert len(kept) < len(tensors)
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    assert retrieved(loaded(copy), "wing") == retrieved(loaded(tiny_bert), "wing")


def test_noting_what_is_loaded_leaves_transformers_as_it_was(tiny_bert):
    from transformers import PreTrainedModel

    before = PreTrainedModel.__dict__["from_pretrained"]
    loaded(tiny_bert)
    assert PreTrainedModel.__dict__["from_pretrained"] is before


def test_a_similarity_that_is_no_inner_product_is_refused(copy):
    settings = json.loads((copy / "config_sentence_transformers.json").read_text())
    (copy / "config_sentence_transformers.json").write_text(
        json.dumps({**settings, "similarity_fn_name": "euclidean"})
    )
    with pytest.raises(EvaluationError, match="MODEL-SIMILARITY"):
        loaded(copy)


def test_a_model_that_cannot_be_loaded_is_the_submitters_to_mend(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "no-such-architecture"}))
    with pytest.raises(EvaluationError, match="MODEL-LOAD") as caught:
        loaded(copy)
    assert not isinstance(caught.value, EvaluationFailed)


def test_a_model_of_nan_fails_by_name(copy):
    tensors = load_file(copy / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"] = np.full_like(
        tensors["embeddings.word_embeddings.weight"], np.nan
    )
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EvaluationFailed, match="VECTORS"):
        retrieved(loaded(copy), "wing")


def test_fp32_products_are_fp32_on_this_machine():
    from evaluations.encoding import settings

    assert settings.fp32_products("cpu") in ("medium (oneDNN, probed)", "highest")
    assert settings.probe_error() < settings.PROBE_TOLERANCE


def test_a_processor_whose_medium_is_not_fp32_gets_highest(monkeypatch):
    import torch

    from evaluations.encoding import settings

    monkeypatch.setattr(settings, "probe_error", lambda: 1e-3)
    assert settings.fp32_products("cpu") == "highest"
    assert torch.get_float32_matmul_precision() == "highest"


def test_cuda_that_is_not_there_is_refused(tiny_bert):
    import torch

    if torch.cuda.is_available():
        pytest.skip("CUDA is available here")
    with pytest.raises(EvaluationError, match="DEVICE"):
        KINDS["dense"].load(parse_system(f"dense:{tiny_bert}"), Runtime(device="cuda"))


def test_all_minilm_equals_plain_sentence_transformers(minilm):
    documents = {
        "d1": "A wing produces lift.",
        "d2": "Heat flows through the plate. " * 40,
        "d3": "Cats sleep.",
    }
    found = retrieved(loaded(minilm, documents=documents), "How does an aircraft fly?")
    model = plain(minilm)
    vectors = model.encode_document(list(documents.values()), normalize_embeddings=True)
    expected = model.encode_query(["How does an aircraft fly?"], normalize_embeddings=True) @ vectors.T
    assert next(iter(found)) == "d1"
    for document, score in zip(documents, expected[0], strict=True):
        assert found[document] == pytest.approx(score, abs=2e-6)


def test_its_vectors_are_there_for_others_beside_their_ids(tiny_bert):
    system = loaded(tiny_bert)
    found = retrieved(system, "wing")
    assert encodes(system)
    assert (system.document_ids, list(system.query_ids)) == (list(DOCUMENTS), ["q"])
    scores = system.document_vectors.astype(np.float64) @ system.query_vectors[0].astype(np.float64)
    assert found == dict(zip(DOCUMENTS, scores.astype(np.float32).tolist(), strict=True))
