"""The report: written whole, read strictly."""

import json
from dataclasses import replace

import pytest

from evaluations.errors import EvaluationError
from evaluations.report import Report, read_report, report_from_dict
from evaluations.tracks import Findings

REPORT = Report(
    system={"kind": "bm25", "location": None, "revision": None, "options": {"k1": 1.5}},
    dataset={
        "name": "tiny", "split": "test", "documents": 3, "queries": 2, "self_hits": "keep",
        "checksums": {"corpus": "c", "queries": "q", "qrels": "r"}, "warnings": [],
    },
    protocol={"retrieval": {"hash": "0123456789ab"}},
    provenance={
        "sparseboard": "0.1.0", "command": "python -m evaluations", "started": "2025-01-01T00:00:00+00:00",
        "finished": "2025-01-01T00:00:01+00:00", "durations_s": {"scoring": 1.0},
        "runtime": {"device": "cpu"},
    },
    tracks={
        "retrieval": Findings(
            {"nDCG@10": 0.1 + 0.2, "R@1000": None}, {"R@1000": "too deep"}, {"run_depth_max": 100}
        )
    },
)  # fmt: skip


def test_what_is_written_is_read_back_to_the_last_digit(tmp_path):
    REPORT.write(tmp_path)
    assert read_report(tmp_path) == REPORT
    assert read_report(tmp_path / "report.json") == REPORT
    assert read_report(tmp_path).tracks["retrieval"].metrics["nDCG@10"] == 0.30000000000000004


def test_the_top_level_is_the_contract(tmp_path):
    REPORT.write(tmp_path)
    value = json.loads((tmp_path / "report.json").read_text())
    assert list(value) == ["schema", "system", "dataset", "protocol", "provenance", "tracks"]
    assert value["tracks"]["retrieval"] == {
        "metrics": {"nDCG@10": 0.30000000000000004, "R@1000": None},
        "reasons": {"R@1000": "too deep"},
        "run_depth_max": 100,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_never_written_and_the_old_report_stays(tmp_path, value):
    REPORT.write(tmp_path)
    broken = replace(REPORT, tracks={"retrieval": Findings({"nDCG@10": value})})
    with pytest.raises(ValueError, match="JSON compliant"):
        broken.write(tmp_path)
    assert read_report(tmp_path) == REPORT
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_rejected_track_has_its_reason_and_no_metrics():
    rejected = replace(
        REPORT,
        protocol={"latency": {"hash": "0123456789ab"}},
        tracks={"latency": Findings(details={"rejected": "block variation 7 %"})},
    )
    assert rejected.to_dict()["tracks"] == {"latency": {"rejected": "block variation 7 %"}}
    assert report_from_dict(rejected.to_dict()) == rejected


def edited(path: str, value: object) -> dict:
    record = json.loads(json.dumps(REPORT.to_dict()))
    *parents, last = path.split("/")
    place = record
    for parent in parents:
        place = place[parent]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return record


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("schema", 2, "schema: must be 1, is 2"),
        ("schema", KeyError, "schema: must be 1"),
        ("system", [], "system: must be an object"),
        ("system/kind", KeyError, "system.kind: is missing"),
        ("dataset/checksums", KeyError, "dataset.checksums: is missing"),
        ("provenance/durations_s", KeyError, "provenance.durations_s: is missing"),
        ("provenance/durations_s", [1], "provenance.durations_s: must be an object"),
        ("tracks/retrieval/rejected", 1, "tracks.retrieval.rejected: must be a text"),
        ("protocol/retrieval", KeyError, "protocol.retrieval: is missing"),
        ("protocol/retrieval/hash", 3, "protocol.retrieval.hash: must be a text"),
        ("tracks/retrieval/metrics", KeyError, "tracks.retrieval.metrics: must be an object"),
        (
            "tracks/retrieval/metrics/nDCG@10",
            "0.3",
            "tracks.retrieval.metrics.nDCG@10: must be a finite number",
        ),
        (
            "tracks/retrieval/metrics/nDCG@10",
            True,
            "tracks.retrieval.metrics.nDCG@10: must be a finite number",
        ),
        (
            "tracks/retrieval/metrics/nDCG@10",
            10**400,
            "tracks.retrieval.metrics.nDCG@10: must be a finite number",
        ),
        ("tracks/retrieval/reasons/R@1000", None, "tracks.retrieval.reasons.R@1000: must be a text"),
        ("tracks/speed", {}, "tracks.speed: is no track"),
    ],
)
def test_a_wrong_report_is_refused_with_the_key(path, value, named):
    with pytest.raises(EvaluationError) as caught:
        report_from_dict(edited(path, value))
    assert str(caught.value).startswith(f"error[REPORT-INVALID]: {named}")


@pytest.mark.parametrize("content", ["", "[]", "null", "{", '{"schema": NaN}', "[" * 10**5, "\ud800"])
def test_what_is_no_report_is_refused(tmp_path, content):
    (tmp_path / "report.json").write_text(content, errors="surrogatepass")
    with pytest.raises(EvaluationError, match="REPORT-INVALID"):
        read_report(tmp_path)


def test_a_missing_report_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="REPORT-MISSING"):
        read_report(tmp_path)
