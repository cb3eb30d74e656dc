"""Measure and score: two steps, of which the first sees no qrels and the second trusts no numbers."""

import gzip
import json

import pyarrow.parquet
import pytest

from evaluations import pipeline
from evaluations.datasets import load, write_blind
from evaluations.errors import EvaluationError
from evaluations.pipeline import Request
from evaluations.report import read_report
from evaluations.retrieval.measures import parse_measures
from evaluations.systems.parse import parse_system


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def request_for(system: str, out, *settings: str, **others) -> Request:
    return Request(parse_system(system, settings), out, **others)


def run_file(tmp_path, text: str):
    path = tmp_path / "submitted.trec"
    path.write_text(text)
    return path


def metrics(report, track="retrieval"):
    return report.tracks[track].metrics


def test_it_works(write_dataset, out):
    report = pipeline.evaluate(request_for("bm25", out), load(write_dataset()))
    assert metrics(report)["nDCG@10"] > 0.9
    assert metrics(report)["RR@10"] == 1.0
    assert sorted(path.name for path in out.iterdir()) == ["per_query.parquet", "report.json", "run.trec.gz"]
    assert read_report(out) == report


def test_the_per_query_values_average_to_the_metrics(write_dataset, out):
    report = pipeline.evaluate(request_for("bm25", out), load(write_dataset()))
    table = pyarrow.parquet.read_table(out / "per_query.parquet").to_pydict()
    assert table.pop("query_id") == ["q1", "q2"]
    assert {name: sum(column) / 2 for name, column in table.items()} == pytest.approx(dict(metrics(report)))


def test_measuring_blind_and_scoring_equals_evaluating(write_dataset, tmp_path):
    source = write_dataset()
    whole = pipeline.evaluate(request_for("bm25", tmp_path / "whole"), load(source))
    write_blind(source, tmp_path / "blind")
    measured = pipeline.measure(request_for("bm25", tmp_path / "steps"), load(tmp_path / "blind"))
    assert set(measured.tracks) == {"sparsity"}
    assert measured.dataset["checksums"]["qrels"] is None
    steps = pipeline.score(load(source), tmp_path / "steps")
    assert steps.tracks == whole.tracks
    assert steps.protocol == whole.protocol
    for name in ("run.trec.gz", "per_query.parquet"):
        assert (tmp_path / "steps" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_scoring_trusts_no_number_of_measuring(write_dataset, tmp_path, out):
    """The process that measured ran a submitted model: its claims about effectiveness are overwritten."""
    dataset = load(write_dataset())
    honest = pipeline.evaluate(request_for("bm25", out), dataset)
    claims = json.loads((out / "report.json").read_text())
    claims["tracks"]["retrieval"]["metrics"]["nDCG@10"] = 1.0
    claims["protocol"]["retrieval"]["hash"] = "ffffffffffff"
    claims["dataset"]["checksums"]["corpus"] = "f" * 64
    (out / "report.json").write_text(json.dumps(claims))
    scored = pipeline.score(dataset, out)
    assert scored.tracks == honest.tracks
    assert scored.protocol == honest.protocol
    assert scored.dataset == honest.dataset


def test_a_run_is_scored_without_a_corpus(write_dataset, tmp_path, out):
    submitted = run_file(tmp_path, "q1 Q0 d1 1 2 t\nq2 Q0 d2 1 2 t\nq2 Q0 d3 2 1 t\n")
    report = pipeline.evaluate(request_for(f"run:{submitted}", out), load(write_dataset(documents=None)))
    assert metrics(report)["P@10"] is None  # its lists end at 2, and nobody knows whether the corpus does
    assert metrics(report)["AP@1000"] is None
    assert report.tracks["retrieval"].details["run_depth_max"] == 2
    assert report.system["revision"].startswith("sha256:")


def test_a_run_declared_exhausted_keeps_its_deep_measures(write_dataset, tmp_path, out):
    submitted = run_file(tmp_path, "q1 Q0 d1 1 2 t\nq2 Q0 d3 1 2 t\nq2 Q0 d2 2 1 t\n")
    request = request_for(f"run:{submitted}", out, "exhausted=true")
    assert metrics(pipeline.evaluate(request, load(write_dataset(documents=None))))["AP@1000"] == 1.0


def test_a_run_over_a_whole_small_corpus_is_deep_enough(write_dataset, tmp_path, out):
    lines = [f"{query} Q0 d{i} {i} {9 - i} t\n" for query in ("q1", "q2") for i in (1, 2, 3)]
    submitted = run_file(tmp_path, "".join(lines))
    report = pipeline.evaluate(request_for(f"run:{submitted}", out), load(write_dataset(), corpus=False))
    assert None not in metrics(report).values()


def test_warnings_of_a_run_reach_the_report(write_dataset, tmp_path, out):
    submitted = run_file(tmp_path, "q1 Q0 d1 1 2 t\nq3 Q0 d1 1 2 t\n")
    report = pipeline.evaluate(request_for(f"run:{submitted}", out), load(write_dataset()))
    assert "1 query ids of the run are not judged" in report.system["warnings"][0]


def test_documents_that_are_not_in_the_corpus_are_counted(write_dataset, tmp_path, out):
    submitted = run_file(tmp_path, "q1 Q0 d1 1 2 t\nq1 Q0 x9 2 1 t\nq2 Q0 x9 1 1 t\n")
    report = pipeline.evaluate(request_for(f"run:{submitted}", out), load(write_dataset(), corpus=False))
    assert report.system["warnings"] == ["1 documents of the run are not in the corpus, such as x9"]


def test_a_run_over_another_corpus_is_refused(write_dataset, tmp_path, out):
    submitted = run_file(tmp_path, "q1 Q0 x1 1 2 t\nq2 Q0 x2 1 2 t\n")
    with pytest.raises(EvaluationError, match=r"RUN-DOCUMENTS.*such as x1, is in the corpus of tiny"):
        pipeline.evaluate(request_for(f"run:{submitted}", out), load(write_dataset(), corpus=False))


def test_a_run_that_is_another_than_was_pinned_is_refused(write_dataset, tmp_path, out):
    submitted = run_file(tmp_path, "q1 Q0 d1 1 2 t\n")
    spec = tmp_path / "system.json"
    spec.write_text(
        json.dumps({"kind": "run", "location": str(submitted), "revision": "sha256:0000000000000000"})
    )
    with pytest.raises(EvaluationError, match="REVISION-MISMATCH"):
        pipeline.evaluate(request_for(str(spec), out), load(write_dataset()))


def test_self_hits_are_removed_and_the_depth_is_kept(write_dataset, tmp_path, out):
    lines = [f"q1 Q0 x{i:04} {i} {5000 - i} t\n" for i in range(1200)]
    submitted = run_file(tmp_path, "q1 Q0 q1 0 9999 t\n" + "".join(lines))
    dataset = load(write_dataset(documents=None, qrels=[("q1", "x0999", 1)]), self_hits="remove")
    report = pipeline.evaluate(request_for(f"run:{submitted}", out), dataset)
    written = gzip.decompress((out / "run.trec.gz").read_bytes()).decode().splitlines()
    assert len(written) == 1000
    assert written[0].split()[2] == "x0000"
    assert metrics(report)["R@1000"] == 1.0


def test_our_own_system_is_asked_for_one_more_where_self_hits_are_removed(write_dataset, out):
    documents = [("q1", "", "swept wing lift"), *((f"d{i:04}", "", "wing") for i in range(1001))]
    dataset = load(write_dataset(documents=documents, qrels=[("q1", "d0001", 1)]), self_hits="remove")
    report = pipeline.evaluate(request_for("bm25", out), dataset)
    assert report.tracks["retrieval"].details["run_depth_max"] == 1000
    assert report.dataset["self_hits"] == "remove"


def test_a_system_that_finds_nothing_is_scored_zero(write_dataset, out):
    dataset = load(write_dataset(queries=(("q1", "unknown"), ("q2", "words"))))
    report = pipeline.evaluate(request_for("bm25", out), dataset)
    assert metrics(report)["nDCG@10"] == 0.0
    assert report.tracks["retrieval"].details["queries"] == {"judged": 2, "answered": 0}


def test_a_judged_query_without_text_pulls_the_mean_down(write_dataset, out):
    dataset = load(write_dataset(qrels=(("q1", "d1", 1), ("q9", "d1", 1))))
    report = pipeline.evaluate(request_for("bm25", out), dataset)
    assert metrics(report)["RR@10"] == 0.5
    assert report.dataset["judged_queries"] == 2
    assert report.dataset["queries"] == 1


def test_further_measures_are_added(write_dataset, out):
    report = pipeline.evaluate(request_for("bm25", out), load(write_dataset()), parse_measures("nDCG@20,AP"))
    assert set(metrics(report)) == {"nDCG@20", "AP"}


def test_only_the_tracks_asked_for_are_reported(write_dataset, tmp_path):
    dataset = load(write_dataset())
    only = pipeline.evaluate(request_for("bm25", tmp_path / "a", tracks=("retrieval",)), dataset)
    assert set(only.tracks) == set(only.protocol) == {"retrieval"}
    other = pipeline.evaluate(request_for("bm25", tmp_path / "b", tracks=("sparsity",)), dataset)
    assert set(other.tracks) == set(other.protocol) == {"sparsity"}
    whole = pipeline.evaluate(request_for("bm25", tmp_path / "c"), dataset)
    assert other.protocol["sparsity"] == whole.protocol["sparsity"]


@pytest.mark.parametrize("tracks", [("retrieval", "speed"), ("speed",), ()])
def test_a_track_that_there_is_not_is_refused(write_dataset, out, tracks):
    with pytest.raises(EvaluationError, match="TRACK-UNKNOWN"):
        pipeline.evaluate(request_for("bm25", out, tracks=tracks), load(write_dataset()))


def test_a_run_has_no_latency_to_measure(write_dataset, tmp_path, out):
    submitted = run_file(tmp_path, "q1 Q0 d1 1 2 t\n")
    with pytest.raises(EvaluationError, match=r"TRACK-UNKNOWN.*run has no track 'latency'"):
        pipeline.evaluate(request_for(f"run:{submitted}", out, tracks=("latency",)), load(write_dataset()))


def test_a_system_that_needs_a_corpus_is_refused_where_there_is_none(write_dataset, out):
    with pytest.raises(EvaluationError, match=r"DATASET-CORPUS.*takes run files"):
        pipeline.evaluate(request_for("bm25", out), load(write_dataset(documents=None)))
    assert not out.exists()


def test_evaluating_without_qrels_is_refused_before_anything_is_run(write_dataset, out):
    with pytest.raises(EvaluationError, match="DATASET-QRELS"):
        pipeline.evaluate(request_for("bm25", out), load(write_dataset(qrels=None)))
    assert not out.exists()


def test_the_same_evaluation_gives_the_same_bytes_but_for_times(write_dataset, tmp_path):
    dataset = load(write_dataset())
    for name in ("one", "other"):
        pipeline.evaluate(request_for("bm25", tmp_path / name), dataset)
    for name in ("run.trec.gz", "per_query.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    one, other = read_report(tmp_path / "one"), read_report(tmp_path / "other")
    assert (one.tracks, one.protocol, one.system) == (other.tracks, other.protocol, other.system)


def test_provenance_says_where_and_how(write_dataset, out):
    provenance = pipeline.evaluate(
        request_for("bm25", out, command="the command"), load(write_dataset())
    ).provenance
    assert provenance["command"] == "the command"
    assert {"loading", "encoding", "searching", "scoring"} <= set(provenance["durations_s"])
    assert provenance["runtime"]["device"] == "cpu"
    assert {"cpu", "cores", "memory_bytes", "python"} <= set(provenance["host"])
    assert {"numpy", "bm25s", "ir-measures"} <= set(provenance["libraries"])
    assert provenance["started"] <= provenance["finished"]
