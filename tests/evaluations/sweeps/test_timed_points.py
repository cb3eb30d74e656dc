"""Sweeps with the latency track: each point has its milliseconds."""

import pytest

from evaluations import pipeline
from evaluations.latency.schedule import Schedule
from evaluations.latency.session import Settings
from evaluations.sparsity.sweeps import parse_sweeps
from evaluations.systems.parse import parse_system
from tests.evaluations.latency.stand_ins import steady, waiting_path
from tests.evaluations.sweeps import models
from tests.evaluations.systems import tiny_sparse

QUICK = Settings(schedule=Schedule(block_s=0.0), throughput=None, engines=False)
TIMES = ("query_latency_p50_ms", "query_search_latency_p50_ms", "query_speedup_realised")


@pytest.fixture(autouse=True)
def _calm(monkeypatch):
    """Quick references, and gates that let every session pass: these tests run on busy machines."""
    monkeypatch.setattr("evaluations.latency.gates.rejection", lambda _: None)
    monkeypatch.setattr("evaluations.latency.baseline.LEAST_NS", 0)
    monkeypatch.setattr("evaluations.latency.references.scan_path", lambda *_: waiting_path(search_ms=0.2))
    monkeypatch.setattr("evaluations.latency.references.encoder_path", lambda *_: waiting_path(encode_ms=0.4))


def points(system, out, sweep):
    spec = parse_system(system)
    tracks = ("retrieval", "sparsity", "latency")
    curves = parse_sweeps([sweep], spec.kind)
    request = pipeline.Request(spec, out, tracks, models.RUNTIME, latency=QUICK, sweeps=curves)
    report = pipeline.evaluate(request, models.dataset())
    (curve,) = report.tracks["sparsity"].details["sweeps"]
    assert [point["reason"] for point in curve["points"]] == [None] * len(curve["points"])
    return [point["metrics"] for point in curve["points"]]


def realised(found):
    """Of the first changed point."""
    return {"realised": found[1]["query_speedup_realised"]}


def assert_timed(point):
    """Each has its times, the search's within the whole."""
    assert all(point[name] > 0 for name in TIMES)
    assert point["query_search_latency_p50_ms"] < point["query_latency_p50_ms"]


def test_points_of_changed_vectors_have_their_times(tmp_path, tiny):
    same = {"realised": pytest.approx(1.0, rel=0.5)}  # all 16 dimensions are kept
    found = steady(lambda: points(f"dense:{tiny}", tmp_path, "dimensions=16,8"), realised, same)
    assert realised(found) == same
    unmodified, whole, half = found
    for point in (unmodified, whole, half):
        assert_timed(point)
    assert unmodified["query_speedup_realised"] == 1.0
    assert "query_flop_removed_share" not in whole


def test_points_of_a_pruned_model_say_what_was_claimed_beside_what_was_realised(tmp_path, tiny):
    no_gain = {"realised": pytest.approx(1.0, rel=0.5)}  # no product skips a zero
    found = steady(lambda: points(f"dense:{tiny}", tmp_path, "weights=99"), realised, no_gain)
    assert realised(found) == no_gain
    unmodified, pruned = found
    assert_timed(pruned)
    assert 0.3 < pruned["query_flop_removed_share"] < 1.0
    assert unmodified["query_speedup_realised"] == 1.0


def test_points_of_sparse_vectors_are_searched_for_as_they_were_changed(tmp_path):
    folder = tiny_sparse.one_of_each_form(tmp_path / "models").router
    _, fewer = points(f"sparse:{folder}", tmp_path / "out", "document-terms=1")
    assert_timed(fewer)
