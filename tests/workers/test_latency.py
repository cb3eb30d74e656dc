"""Latency through a worker: a host to itself, calibrated first; published, or rejected and tried again."""

from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.utils import timezone

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.latency.baseline import deciding_versions, read_baseline
from evaluations.latency.host import HostProfile, host_profile
from leaderboard.boards.models import Entry, Measurement
from leaderboard.catalog.members import Part
from leaderboard.hosts import registry
from leaderboard.hosts.models import Calibration
from leaderboard.hosts.models import HostProfile as KnownHost
from leaderboard.submissions.models import Evaluation, Submission, Track
from tests.factories import make_revision, make_submission
from workers import calibration, host, tasks
from workers.heartbeat import Heartbeat, ShuttingDown
from workers.needs import Needs
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
    profile = KnownHost.objects.get()
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
    assert {"numpy", "numba", "torch", "search", "references"} <= kept.versions.keys()
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
    assert waiting.rejections[0]["host"] == KnownHost.objects.get().hash
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


def calibrations_find(monkeypatch, *each: dict[str, float]) -> Iterator[dict[str, float]]:
    """One after the other; what is left of them is returned."""
    left = iter(each)
    monkeypatch.setattr(calibration, "_measured", lambda *_: next(left))
    return left


def test_a_host_whose_calibrations_disagree_five_times_rejects_the_session(timed, monkeypatch):
    found = [{"bm25 cpu 1 p50": ms} for ms in (1.06, 1.0, 1.06, 1.0, 1.06, 1.06)]
    left = calibrations_find(monkeypatch, *found)
    waiting = evaluate(timed())
    assert waiting.state == "queued"
    [rejection] = waiting.rejections
    assert "bm25 cpu 1 p50 took 1 ms and then 1.06 ms (6.0% apart, limit 5%)" in rejection["reason"]
    assert len(list(left)) == 1
    [kept] = Calibration.objects.all()
    assert kept.rejected
    assert registry.baseline(kept.profile_id) == {}
    assert registry.calibration_is_due(kept.profile_id, {"bm25 cpu 1"}, kept.versions)


def test_the_p50_and_the_mean_of_a_reference_must_agree_in_the_same_two_calibrations(timed, monkeypatch):
    """The p50 in the first two, the mean in the second and third, both only in the third and fourth."""
    pairs = [(1.0, 2.0), (1.01, 3.0), (1.5, 3.03), (1.53, 3.06), (9.0, 9.0)]
    times = [{"bm25 cpu 1 p50": p50, "bm25 cpu 1 mean": mean} for p50, mean in pairs]
    left = calibrations_find(monkeypatch, *times)
    evaluate(timed())
    [kept] = Calibration.objects.all()
    assert (kept.rejected, kept.times_ms) == ("", {"bm25 cpu 1 p50": 1.53, "bm25 cpu 1 mean": 3.06})
    assert len(list(left)) == 1


def test_a_reference_counts_from_where_it_agreed_and_one_that_is_not_needed_holds_nobody_up():
    """The scan agrees in the first two, BM25 in the second and third, the encoder never."""
    found = iter([(1.0, 20.0, 5.0), (1.5, 20.4, 6.0), (1.52, 30.0, 7.0)])
    names = ("bm25 cpu 1 p50", "scan cpu 1 p50", "encoder cpu 1 fp32 p50")
    times, reason = calibration._agreed(
        {"bm25 cpu 1", "scan cpu 1"}, lambda: dict(zip(names, next(found), strict=True))
    )
    assert (times, reason) == ({"bm25 cpu 1 p50": 1.52, "scan cpu 1 p50": 20.4}, "")


def test_a_reference_that_a_session_needs_and_nobody_measured_is_no_calibration():
    _, reason = calibration._agreed({"encoder cpu 1 bf16"}, lambda: {"bm25 cpu 1 p50": 1.0})
    assert reason == "encoder cpu 1 bf16 was not measured"


def test_calibrations_within_a_twentieth_agree():
    first = {"a p50": 1.0, "b p50": 2.0, "b mean": 2.0}
    second = {"a p50": 1.04, "b p50": 1.91, "b mean": 1.91, "c p50": 9.0}
    assert calibration.disagreements(first, second) == {}
    assert calibration.disagreements(first, second | {"b mean": 1.89}) == {
        "b": "b mean took 2 ms and then 1.89 ms (5.5% apart, limit 5%)"
    }


def test_a_host_is_calibrated_anew_for_what_the_days_calibrations_were_not_of(tmp_path, monkeypatch):
    asked: list[Needs] = []

    def measured(_: object, __: object, needs: Needs, ___: object) -> dict[str, float]:
        asked.append(needs)
        return {f"{reference} p50": 1.0 for reference in needs.references}

    monkeypatch.setattr(calibration, "_measured", measured)
    fp32, bf16 = (Needs("cpu", (each,), scan=True) for each in ("fp32", "bf16"))
    lexical = Needs("cpu", (), scan=False)
    on_card = Needs("cuda", ("fp32",), scan=True)
    for needs in (lexical, fp32, lexical, bf16, fp32, on_card, on_card):
        calibration.write_baseline(tmp_path, needs, Mock())
        stored = read_baseline(tmp_path / "baseline.json")
        assert {f"{reference} p50" for reference in needs.references} <= stored.times_ms.keys()
    assert asked == [each for each in (lexical, fp32, bf16, on_card) for _ in range(2)]


def test_other_versions_of_what_decides_the_times_are_calibrated_anew(tmp_path, monkeypatch):
    needs, mine = Needs("cpu", (), scan=False), host_profile()
    newer = HostProfile(mine.facts, {**mine.versions, "numba": "99"})
    for profile, taken in ((mine, 1.0), (newer, 2.0), (mine, 1.0)):
        monkeypatch.setattr(calibration, "host_profile", lambda profile=profile: profile)
        times = {"bm25 cpu 1 p50": taken}
        monkeypatch.setattr(calibration, "_measured", lambda *_, times=times: times)
        calibration.write_baseline(tmp_path, needs, Mock())
        assert read_baseline(tmp_path / "baseline.json").times_ms == times
    assert [each.versions["numba"] for each in Calibration.objects.order_by("measured_at")][1:] == ["99"]


@pytest.mark.parametrize("failed", [EvaluationFailed, EvaluationError])
def test_a_calibration_that_breaks_is_the_hosts_fault_and_the_session_is_tried_again(
    timed, monkeypatch, failed
):
    def broken(*_: object) -> None:
        raise failed("OUT-OF-MEMORY", "The evaluator was killed. Submit a smaller model.")

    monkeypatch.setattr(calibration, "_measured", broken)
    waiting = evaluate(timed())
    assert (waiting.state, waiting.error_code, waiting.attempts) == ("queued", "", 0)
    [rejection] = waiting.rejections
    reason = "OUT-OF-MEMORY: The evaluator was killed"  # a smaller model would not help
    assert rejection["reason"] == f"this host could not be calibrated: {reason}"
    assert (Calibration.objects.get().rejected, rejection["host"]) == (reason, host_profile().hash)


def test_a_session_of_another_host_profile_than_the_workers_is_rejected(timed, monkeypatch):
    """As where the card did not answer one of the two."""
    mine = host_profile()
    other = HostProfile({**mine.facts, "gpu": "Test card"}, mine.versions)
    monkeypatch.setattr(calibration, "host_profile", lambda: other)
    registry.know(other.hash, other.facts)
    times, versions = {"bm25 cpu 1 p50": 1.0}, deciding_versions(other.versions)
    registry.record_calibration(other.hash, times, versions=versions)
    waiting = evaluate(timed())
    assert (waiting.state, waiting.attempts) == ("queued", 0)
    [rejection] = waiting.rejections
    assert f"measured on host profile {mine.hash}, while the worker's is {other.hash}" in rejection["reason"]
    assert rejection["host"] == other.hash
    assert not Measurement.objects.exists()


def test_a_calibration_of_another_host_profile_than_the_workers_is_none(timed, monkeypatch):
    mine = host_profile()
    other = HostProfile({**mine.facts, "gpu": "Test card"}, mine.versions)
    monkeypatch.setattr(calibration, "host_profile", lambda: other)
    waiting = evaluate(timed())
    assert waiting.state == "queued"
    assert f"while the worker's is {other.hash}" in waiting.rejections[0]["reason"]
    assert not Calibration.objects.exists()
