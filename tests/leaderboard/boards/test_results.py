"""A worker's results: all of them or none, under the fence, and never a number that is none."""

from dataclasses import replace
from typing import Any

import pytest

from evaluations.report import Report
from evaluations.tracks import Findings
from leaderboard.boards import results
from leaderboard.boards.models import Entry, Measurement
from leaderboard.submissions import lifecycle
from leaderboard.submissions.models import Artefact, Evaluation, State, Submission, Track
from tests.factories import make_benchmark, make_dataset, make_submission

pytestmark = pytest.mark.django_db


@pytest.fixture
def submission() -> Submission:
    return make_submission(
        benchmark=make_benchmark("single", [make_dataset("only", protocol="aaaaaaaaaaaa")])
    )


def claim_of(submission: Submission) -> lifecycle.Claim:
    claim = lifecycle.claim(submission.evaluations.all()[0].pk, "worker-1")
    assert claim is not None
    return claim


def report(*, without: str = "", **retrieval: Any) -> Report:
    """As `score` leaves it; built directly, since a report that is read holds finite numbers only."""
    tracks = {
        "retrieval": Findings(
            {"nDCG@10": 0.5, "R@1000": None} | retrieval, {"R@1000": "the run is 100 deep"}
        ),
        "sparsity": Findings({"index_bytes": 1000, "parameters": 0}),
    }
    protocol = {"retrieval": {"hash": "aaaaaaaaaaaa"}, "sparsity": {"hash": "bbbbbbbbbbbb"}}
    return Report(
        system={"kind": "bm25"},
        dataset={"name": "only"},
        protocol=protocol,
        provenance={"host": {}},
        tracks={track: found for track, found in tracks.items() if track != without},
    )


FILE = lifecycle.StoredArtefact("report.json", "evaluations/x/report.json", "0" * 64, 17)


def test_it_works(submission: Submission) -> None:
    results.commit(claim_of(submission), report(), [FILE])
    entry = Entry.objects.get()
    assert entry.average == 0.5
    assert entry.metrics == {"nDCG@10": 0.5, "index_bytes": 1000, "parameters": 0}
    assert {row.state for row in submission.evaluations.all()} == {State.SUCCEEDED}
    assert Artefact.objects.get().evaluation.track == Track.RETRIEVAL


def test_each_evaluation_keeps_its_own_track_and_hash(submission: Submission) -> None:
    results.commit(claim_of(submission), report())
    sparsity = submission.evaluations.get(track=Track.SPARSITY)
    assert sparsity.protocol == "bbbbbbbbbbbb"
    assert sparsity.report is not None
    assert list(sparsity.report["tracks"]) == ["sparsity"]
    assert set(sparsity.measurements.values_list("metric", flat=True)) == {"index_bytes", "parameters"}


def test_a_metric_that_does_not_apply_is_null_with_its_reason(submission: Submission) -> None:
    results.commit(claim_of(submission), report())
    row = Measurement.objects.get(metric="R@1000")
    assert row.value is None
    assert row.reason == "the run is 100 deep"


def test_a_worker_that_lost_its_lease_writes_nothing(submission: Submission) -> None:
    claim = claim_of(submission)
    Evaluation.objects.filter(submission=submission).update(fence=99)
    with pytest.raises(lifecycle.LeaseLost):
        results.commit(claim, report(), [FILE])
    assert_nothing_was_written()


def test_a_cancelled_submission_takes_no_results(submission: Submission) -> None:
    claim = claim_of(submission)
    lifecycle.cancel(submission, None)
    with pytest.raises(lifecycle.LeaseLost):
        results.commit(claim, report(), [FILE])
    assert_nothing_was_written()


def test_the_same_results_delivered_twice_count_once(submission: Submission) -> None:
    claim = claim_of(submission)
    results.commit(claim, report(), [FILE])
    with pytest.raises(lifecycle.LeaseLost):
        results.commit(claim, report(**{"nDCG@10": 0.9}), [FILE])
    assert Measurement.objects.get(metric="nDCG@10").value == 0.5
    assert Artefact.objects.count() == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", True])
def test_what_is_no_finite_number_is_refused(submission: Submission, value: object) -> None:
    with pytest.raises(results.BadReportError, match=r"nDCG@10 .* not a finite number"):
        results.commit(claim_of(submission), report(**{"nDCG@10": value}), [FILE])
    assert_nothing_was_written()


def test_a_report_without_a_claimed_track_is_refused(submission: Submission) -> None:
    with pytest.raises(results.BadReportError, match="no sparsity track"):
        results.commit(claim_of(submission), report(without="sparsity"), [FILE])
    assert_nothing_was_written()


def test_a_report_without_a_protocol_is_refused(submission: Submission) -> None:
    with pytest.raises(results.BadReportError, match="no protocol hash"):
        results.commit(claim_of(submission), replace(report(), protocol={}), [FILE])
    assert_nothing_was_written()


def assert_nothing_was_written() -> None:
    assert not Measurement.objects.exists()
    assert not Artefact.objects.exists()
    assert not Entry.objects.exists()
    assert not Evaluation.objects.filter(state=State.SUCCEEDED).exists()
