"""Matched references: which steps stand for a system's own, added up by hand."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from evaluations.datasets import load
from evaluations.errors import EvaluationFailed
from evaluations.latency import references
from evaluations.latency.baseline import key_of
from evaluations.latency.harness import Recording, empty_path
from evaluations.latency.references import Sum, matched_sum, references_for
from evaluations.systems.abilities import PathPart

WORDS = PathPart("none", "sparse")
TABLE = PathPart("table", "sparse")
DENSE = PathPart("neural", "dense")
SPLADE = PathPart("neural", "sparse", "bf16")
READER = PathPart("neural", None)


def made_of(*parts, precision="fp32"):
    return replace(empty_path(), encoder="several", index="several", precision=precision, parts=parts)


def recording(*queries):
    """One block of one chunk; each query's times of tokenising, encoding and searching."""
    return Recording((np.array([queries], dtype=np.int64),))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((WORDS, DENSE), "bm25 tokenise+encode + bm25 search + encoder tokenise+encode + scan search"),
        ((WORDS, TABLE), "2 x bm25 tokenise+encode + 2 x bm25 search"),
        ((WORDS, READER), "bm25 tokenise+encode + bm25 search + encoder tokenise+encode"),
        ((DENSE, READER), "2 x encoder tokenise+encode + scan search"),
        (
            (DENSE, SPLADE),
            "encoder tokenise+encode + scan search + encoder bf16 tokenise+encode + bm25 search",
        ),
    ],
)
def test_what_is_made_of_others_is_held_against_the_sum_of_its_parts(parts, said):
    assert str(matched_sum(made_of(*parts))) == said


def test_nothing_stands_for_a_vector_that_was_made_elsewhere():
    given = replace(empty_path(), encoder="given", index="dense")
    assert str(matched_sum(given)) == "scan search"
    assert str(matched_sum(replace(given, index="sparse"))) == "bm25 search"


def test_the_sum_of_a_fusion_and_a_reranker_by_hand():
    found = {
        "bm25": recording((1, 2, 30), (4, 5, 60)),
        "encoder": recording((100, 1000, 0), (200, 2000, 0)),
        "scan": recording((0, 0, 7), (0, 0, 8)),
    }
    # words and vectors: 1 + 2 + 30 of BM25, 100 + 1000 of the encoder, 7 of the scan
    (fused,) = matched_sum(made_of(WORDS, DENSE)).blocks(found)
    assert fused.tolist() == [[33 + 1100 + 7, 69 + 2200 + 8]]
    (read,) = matched_sum(made_of(DENSE, READER)).blocks(found)
    assert read.tolist() == [[2 * 1100 + 7, 2 * 2200 + 8]]


def test_a_sum_names_each_reference_once():
    assert matched_sum(made_of(WORDS, TABLE, DENSE, DENSE)).names == ("bm25", "encoder", "scan")
    assert Sum((("scan", ("search",)),)).names == ("scan",)


def test_models_of_two_precisions_have_an_encoder_each(monkeypatch):
    asked = []

    def encoder_path(device, precision):
        asked.append((device, precision))
        return replace(empty_path(), precision=precision)

    monkeypatch.setattr(references, "encoder_path", encoder_path)
    monkeypatch.setattr(references, "scan_path", lambda *_: empty_path())
    found = references_for(made_of(DENSE, SPLADE, READER), load("mini").documents, 10, 1)
    assert set(found.paths) == {"bm25", "encoder", "encoder bf16", "scan"}
    assert asked == [("cpu", "fp32"), ("cpu", "bf16")]
    assert found.is_matched
    assert key_of("encoder bf16", found.paths["encoder bf16"], 1) == "encoder cpu 1 bf16"
    assert key_of("encoder", found.paths["encoder"], 1) == "encoder cpu 1 fp32"


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A folder of the encoder's name, with files whose content a test says."""
    folder = tmp_path / references.ENCODER_MODEL
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "data_config.json").write_text("[]")  # in the hub's snapshot, and in no package
    monkeypatch.setenv("SPARSEBOARD_MODELS", str(tmp_path))
    monkeypatch.setattr(references, "encoder_path", lambda *_: empty_path())
    monkeypatch.setattr(references, "scan_path", lambda *_: empty_path())
    return folder


def test_another_content_under_the_encoders_name_is_another_protocol(model):
    described = []
    for weights in (b"these", b"others"):
        (model / "model.safetensors").write_bytes(weights)
        described.append(references_for(made_of(DENSE), load("mini").documents, 10, 1).description)
        files = {"model.safetensors": weights, "tokenizer.json": b"{}"}
        listing = "".join(f"{name}\0{sha256(content).hexdigest()}\n" for name, content in files.items())
        digest = sha256(listing.encode()).hexdigest()[:16]
        assert described[-1] == f"{references.DESCRIPTION}; encoder sha256:{digest}"
    assert len(set(described)) == 2


def test_a_session_without_the_encoder_is_as_comparable_whatever_is_under_its_name(model):
    assert references_for(made_of(WORDS), load("mini").documents, 10, 1).description == references.DESCRIPTION


def test_without_the_encoders_model_neither_is_there(monkeypatch):
    monkeypatch.setattr(references, "encoder_path", lambda *_: None)
    monkeypatch.setattr(references, "scan_path", lambda *_: empty_path())
    found = references_for(made_of(DENSE, SPLADE), load("mini").documents, 10, 1)
    assert set(found.absent) == {"encoder", "encoder bf16"}
    assert not found.is_matched


def test_a_process_may_be_told_where_the_encoder_is(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARSEBOARD_REFERENCE_ENCODER", str(tmp_path))
    assert references.encoder_location() == str(tmp_path)
    monkeypatch.setenv("SPARSEBOARD_REFERENCE_ENCODER", str(tmp_path / "none"))
    with pytest.raises(EvaluationFailed, match=r"MODEL-MISSING.*no folder is there; name one with sentence-"):
        references.encoder_location()
