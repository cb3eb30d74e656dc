"""Latency through a worker: a host to itself, calibrated first; published, or rejected and tried again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.boards.models import Entry, Measurement
from leaderboard.catalog.members import Part
from leaderboard.hosts import registry
from leaderboard.hosts.models import Calibration, HostProfile
from leaderboard.submissions.models import Evaluation, Submission, Track
from tests.factories import make_revision, make_submission
from workers import calibration, host, tasks
from workers.heartbeat import Heartbeat, ShuttingDown
from workers.runner import WAITING

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def timed(submit):
    """A submission of BM25 with a latency evaluation; `said` is what the gates say of this machine.

    The session is brief, and as the board's own are where `whole`.
    """

    def make(said: str = "", *, whole: bool = False) -> Submission:
        first = submit()
        behave = "gate" if whole else "gate-briefly"
        revision = make_revision(kind="bm25", options={"behave": f"{behave}:{said}"})
        return make_submission(benchmark=first.benchmark, revision=revision, tracks=list(Track))

    return make


def evaluate(submission: Submission) -> Evaluation:
    tasks.evaluate(str(submission.evaluations.get(track="latency").pk))
    return submission.evaluations.get(track="latency")


def test_a_session_is_published_with_its_host_its_times_and_intervals(timed):
    submission = timed(whole=True)
    tasks.evaluate(str(submission.evaluations.get(track="retrieval").pk))
    done = evaluate(submission)
    assert (done.state, done.error_message) == ("succeeded", "")
    profile = HostProfile.objects.get()
    assert done.host == profile.hash
    entry = Entry.objects.get(submission=submission)
    assert entry.host == profile.hash
    assert entry.metrics["nDCG@10"] == 1.0
    assert entry.metrics["query_latency_p50_ms"] > 0
    # BM25 beside the reference that it is itself: the ratio is about 1 on any machine.
    assert 1 / 3 < entry.metrics["latency_ratio_bm25_p50"] < 3
    row = Measurement.objects.get(metric="query_latency_p50_ms")
    assert row.low <= row.value <= row.high
    assert done.report["tracks"].keys() == {"latency"}


def test_a_fusion_is_timed_as_one_and_held_against_its_members_references(submit):
    members = [Part("bm25").to_json(), Part("bm25", options={"k1": 0.9}).to_json()]
    revision = make_revision(kind="fusion", members=members, options={"behave": "gate:"})
    submission = make_submission(benchmark=submit().benchmark, revision=revision, tracks=list(Track))
    done = evaluate(submission)
    assert (done.state, done.error_message) == ("succeeded", "")
    found = done.report["tracks"]["latency"]
    assert found["matched_reference"] == "2 x bm25 tokenise+encode + 2 x bm25 search"
    measured = dict(Measurement.objects.values_list("metric", "value"))
    # Twice BM25 and the adding of lists is more than BM25, and is held against twice BM25.
    assert measured["latency_ratio_matched_p50"] < measured["latency_ratio_bm25_p50"]
    assert measured["queries_per_second"] > 0
    assert measured["documents_per_second"] is None


def test_a_host_is_calibrated_before_its_first_session_and_not_again_that_day(timed):
    submission = timed()
    evaluate(submission)
    [kept] = Calibration.objects.all()
    assert (kept.rejected, kept.times_ms["scan cpu 1 p50"]) == ("", 20.0)
    Evaluation.objects.filter(submission=submission).update(state="queued", not_before=None)
    evaluate(submission)
    assert Calibration.objects.count() == 1


def test_what_waits_for_the_host_says_so_and_a_calibration_too(timed, monkeypatch):
    stages: list[str] = []

    def check(self: Heartbeat) -> None:
        if stages[-1:] == [WAITING]:
            raise ShuttingDown

    monkeypatch.setattr(Heartbeat, "progress", lambda self, stage, share: stages.append(stage))
    monkeypatch.setattr(Heartbeat, "check", check)
    submission = timed()
    with host.turn(alone=False, check=lambda: None):
        assert evaluate(submission).state == "queued"
    assert stages[0] == "loading"
    assert stages[-1] == WAITING == "waiting for the host"
    stages.clear()
    assert evaluate(submission).state == "succeeded"
    waited, calibrated, timed_ = (stages.index(stage) for stage in (WAITING, "calibrating", "timing"))
    assert waited < calibrated < timed_


def test_a_rejected_session_publishes_nothing_and_waits(timed):
    submission = timed("bm25 varied by 9 %")
    waiting = evaluate(submission)
    assert (waiting.state, waiting.attempts) == ("queued", 0)
    assert [each["reason"] for each in waiting.rejections] == ["bm25 varied by 9 %"]
    assert waiting.rejections[0]["host"] == HostProfile.objects.get().hash
    assert waiting.not_before > timezone.now() + timedelta(seconds=60)
    assert not Measurement.objects.exists()


def test_times_do_not_stand_in_the_way_of_quality(timed):
    """The latency evaluation is claimed alone, and what became of it changes no average."""
    submission = timed("too noisy")
    evaluate(submission)
    tasks.evaluate(str(submission.evaluations.get(track="retrieval").pk))
    entry = Entry.objects.get(submission=submission)
    assert (entry.average, entry.host) == (1.0, "")
    assert not any("latency" in name for name in entry.metrics)


def test_a_host_whose_calibrations_disagree_rejects_the_session_and_is_calibrated_again(timed, monkeypatch):
    found = iter([1.06, 1.0] * 4)
    monkeypatch.setattr(calibration, "_measured", lambda *_: {"bm25 cpu 1 p50": next(found)})
    waiting = evaluate(timed())
    assert waiting.state == "queued"
    [rejection] = waiting.rejections
    assert "bm25 cpu 1 p50 took 1.06 ms and then 1 ms (5.7% apart, limit 5%)" in rejection["reason"]
    [kept] = Calibration.objects.all()
    assert kept.rejected
    assert registry.baseline(kept.profile_id) == {}
    assert registry.calibration_is_due(kept.profile_id)


def test_a_host_is_calibrated_until_each_time_has_agreed_with_the_one_before(timed, monkeypatch):
    """The scan agrees in the first two, BM25 in the second and the third; what comes later counts no more."""
    found = iter([(1.0, 20.0), (1.5, 20.4), (1.52, 30.0), (9.0, 90.0)])
    names = ("bm25 cpu 1 p50", "scan cpu 1 p50")
    monkeypatch.setattr(calibration, "_measured", lambda *_: dict(zip(names, next(found), strict=True)))
    evaluate(timed())
    [kept] = Calibration.objects.all()
    assert (kept.rejected, kept.times_ms) == ("", {"bm25 cpu 1 p50": 1.52, "scan cpu 1 p50": 20.4})
    assert next(found) == (9.0, 90.0)


def test_calibrations_within_a_twentieth_agree():
    assert calibration.disagreements({"a": 1.0, "b": 2.0}, {"a": 1.04, "b": 1.91, "c": 9.0}) == {}
    [(name, why)] = calibration.disagreements({"a": 1.0, "b": 2.0}, {"a": 1.04, "b": 1.89}).items()
    assert (name, why) == ("b", "b took 2 ms and then 1.89 ms (5.5% apart, limit 5%)")
