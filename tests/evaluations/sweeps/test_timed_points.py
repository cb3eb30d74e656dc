"""Sweeps with the latency track: each point has its milliseconds."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from evaluations import pipeline
from evaluations.latency.operating_points import PointTimer, PointTimes
from evaluations.latency.references import References, Sum
from evaluations.latency.schedule import Schedule
from evaluations.latency.session import Settings
from evaluations.latency.statistics import Interval
from evaluations.progress import Progress
from evaluations.search.found import SparseQuery
from evaluations.sparsity.sweeps import Stopwatch, curves_of, parse_sweeps
from evaluations.sparsity.sweeps.subject import encoded_by
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


def evaluated(system, out, sweep, *settings, tracks=("retrieval", "sparsity", "latency"), **request):
    spec = parse_system(system, settings)
    curves = parse_sweeps([sweep], spec.kind)
    request = pipeline.Request(spec, out, tracks, models.RUNTIME, latency=QUICK, sweeps=curves, **request)
    return pipeline.evaluate(request, models.dataset())


def points(system, out, sweep, *settings):
    report = evaluated(system, out, sweep, *settings)
    (curve,) = report.tracks["sparsity"].details["sweeps"]
    assert [point["untimed"] for point in curve["points"]] == [None] * len(curve["points"])
    unmodified, session = curve["points"][0]["metrics"], report.tracks["latency"].metrics
    assert [unmodified[name] for name in TIMES[:2]] == [session[name] for name in TIMES[:2]]
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


def stopwatch(system):
    """Of an indexed system that nobody times."""
    timer = PointTimer(References({}, Sum(())), models.dataset(), QUICK, None, Progress())
    times = PointTimes(1.0, 0.5, 1.0, Interval(0.9, 1.1))
    return Stopwatch(timer, system.query_path(10, 1), times, models.QUERIES)


@pytest.mark.parametrize("sides", ["both", "documents", "queries"])
def test_an_encoder_that_looks_queries_up_does_so_at_a_point_too(tmp_path, sides):
    """At a point that changes nothing, every step is what it is of the unmodified system."""
    folder = tiny_sparse.one_of_each_form(tmp_path / "models").idf
    system = tiny_sparse.loaded(folder, "activation=relu", documents=models.DOCUMENTS)
    system.retrieve(models.QUERIES, 1, Progress())
    watch = stopwatch(system)
    before, after = watch.path, watch.changed_path(system, encoded_by(system), sides)
    for text in models.QUERIES.values():
        tokens = after.tokenise(text)
        assert isinstance(tokens, list)
        assert tokens == before.tokenise(text)
        ours, theirs = after.encode(tokens), before.encode(tokens)
        assert isinstance(ours, SparseQuery)
        np.testing.assert_array_equal(ours.terms, theirs.terms)
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        np.testing.assert_array_equal(after.search(ours).rows, before.search(theirs).rows)


def test_pruning_what_no_query_passes_through_makes_no_query_slower(tmp_path):
    """Through torch a query takes about ten times as long as by the look-up: 0.58 ms and 0.05 ms seen."""
    folder = tiny_sparse.one_of_each_form(tmp_path / "models").idf
    same = {"realised": pytest.approx(1.0, rel=0.5)}
    out = tmp_path / "out"
    found = steady(lambda: points(f"sparse:{folder}", out, "weights=10", "activation=relu"), realised, same)
    assert realised(found) == same
    assert "query_flop_removed_share" not in found[1]


def test_a_rejected_session_has_no_timed_points_and_they_say_why(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluations.latency.gates.rejection", lambda _: "bm25 varied by 9 %")
    monkeypatch.setattr(PointTimer, "time", lambda *_: pytest.fail("no point is to be timed"))
    report = evaluated(f"dense:{tiny}", tmp_path, "dimensions=8")
    (curve,) = report.tracks["sparsity"].details["sweeps"]
    for point in curve["points"]:
        assert point["untimed"] == "the session of the unmodified system was rejected: bm25 varied by 9 %"
        assert not any(name in point["metrics"] for name in TIMES)
        assert point["metrics"]["nDCG@10"] > 0


def test_a_point_whose_own_session_is_rejected_says_why(tiny, tmp_path, monkeypatch):
    said = iter([None, "bm25 varied by 9 %", None])
    monkeypatch.setattr("evaluations.latency.gates.rejection", lambda _: next(said))
    report = evaluated(f"dense:{tiny}", tmp_path, "dimensions=8,4")
    (curve,) = report.tracks["sparsity"].details["sweeps"]
    reasons = [point["untimed"] for point in curve["points"]]
    assert reasons == [None, "its session was rejected: bm25 varied by 9 %", None]
    _, rejected, timed = curve["points"]
    assert [rejected["metrics"][name] for name in TIMES] == [None] * 3
    assert_timed(timed["metrics"])
    kept = pq.read_table(tmp_path / "sweeps.parquet").to_pydict()
    assert kept["untimed"] == reasons


@pytest.mark.parametrize("sweep", ["dimensions=8", "weights=50"])
def test_for_latency_alone_points_are_timed_and_nothing_else(tiny, tmp_path, sweep):
    report = evaluated(f"dense:{tiny}", tmp_path, sweep, tracks=("latency",))
    (curve,) = report.tracks["latency"].details["sweeps"]
    assert [(point["reason"], point["untimed"]) for point in curve["points"]] == [(None, None)] * 2
    for point in curve["points"]:
        assert_timed(point["metrics"])
        assert set(point["metrics"]) - {"query_flop_removed_share"} == set(TIMES)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_for_latency_alone_a_rejected_session_makes_no_point(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluations.latency.gates.rejection", lambda _: "bm25 varied by 9 %")
    report = evaluated(f"dense:{tiny}", tmp_path, "dimensions=8", tracks=("latency",))
    assert report.tracks["latency"].details["rejected"] == "bm25 varied by 9 %"
    assert "sweeps" not in report.tracks["latency"].details


def test_vectors_that_were_made_elsewhere_say_that_their_points_are_not_timed(tmp_path):
    vectors = saved_vectors(tmp_path / "vectors")
    report = evaluated(f"vectors:{vectors}", tmp_path / "out", "dimensions=1", tracks=("latency",))
    (curve,) = report.tracks["latency"].details["sweeps"]
    said = "query vectors were made elsewhere: there are no whole queries to time"
    assert [(point["code"], point["reason"]) for point in curve["points"]] == [("SWEEP-UNTIMED", said)] * 2
    (read,) = curves_of(report.tracks["latency"].details, "vectors")
    assert str(read.curve) == "dimensions=1"


def saved_vectors(folder):
    """Two dimensions for each text, as a submitter would send them."""
    folder.mkdir()
    meta = {"dimensions": 2, "similarity": "dot", "encoder": "by hand", "precision": "fp32"}
    (folder / "meta.json").write_text(json.dumps(meta))
    for side, ids in (("documents", list(models.DOCUMENTS)), ("queries", list(models.QUERIES))):
        np.save(folder / f"{side}.npy", np.ones((len(ids), 2), dtype=np.float32))
        (folder / f"{side}.ids.txt").write_text("\n".join(ids))
    return folder
