"""Each transition, who may make it, and what two workers at once may never do."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from leaderboard.submissions import lifecycle
from leaderboard.submissions.lifecycle import LeaseLost, Outcome
from leaderboard.submissions.models import AuditEvent, Evaluation, State, Submission, Track
from tests.factories import make_benchmark, make_dataset, make_submission, make_user

TRACKS = (Track.RETRIEVAL, Track.SPARSITY, Track.LATENCY)


@pytest.fixture
def submission(db) -> Submission:
    return make_submission(tracks=TRACKS)


def row(submission: Submission, track: Track = Track.RETRIEVAL) -> Evaluation:
    return submission.evaluations.get(track=track)


def expire_leases() -> None:
    Evaluation.objects.filter(state=State.RUNNING).update(lease_until=timezone.now() - timedelta(seconds=1))


def outcomes(claim: lifecycle.Claim) -> dict[uuid.UUID, Outcome]:
    return {evaluation_id: Outcome("abc123def456", {"metrics": {}}) for evaluation_id in claim.fences}


def test_a_claim_takes_retrieval_and_sparsity_of_one_dataset_together(db):
    submission = make_submission(
        benchmark=make_benchmark(datasets=[make_dataset(), make_dataset()]), tracks=TRACKS
    )
    first, second = (each.dataset for each in submission.benchmark.members())
    claim = lifecycle.claim(submission.evaluations.get(dataset=first, track="sparsity").pk, "worker-1")
    assert claim is not None
    assert (claim.submission_id, claim.dataset_id, claim.attempt) == (submission.pk, first.pk, 1)
    assert set(claim.tracks) == {"retrieval", "sparsity"}
    states = {(each.dataset_id, each.track): each.state for each in submission.evaluations.all()}
    assert states == {
        (first.pk, "retrieval"): "running",
        (first.pk, "sparsity"): "running",
        (first.pk, "latency"): "queued",
        (second.pk, "retrieval"): "queued",
        (second.pk, "sparsity"): "queued",
        (second.pk, "latency"): "queued",
    }


def test_latency_is_claimed_alone(submission):
    claim = lifecycle.claim(row(submission, Track.LATENCY).pk, "worker-1")
    assert claim is not None
    assert set(claim.tracks) == {"latency"}


def test_a_lease_lasts_as_long_as_the_settings_say_on_the_databases_clock(submission, settings):
    settings.LEASE_SECONDS = 60
    before = timezone.now()
    lifecycle.claim(row(submission).pk, "worker-1")
    claimed = row(submission)
    assert timedelta(seconds=59) < claimed.lease_until - before < timedelta(seconds=62)
    assert timedelta(seconds=-1) < claimed.started_at - before < timedelta(seconds=2)


def test_a_live_lease_keeps_others_out(submission):
    assert lifecycle.claim(row(submission).pk, "worker-1")
    assert lifecycle.claim(row(submission).pk, "worker-2") is None
    assert lifecycle.claim(row(submission, Track.SPARSITY).pk, "worker-2") is None


def test_the_hint_of_a_row_that_is_gone_claims_nothing(db):
    assert lifecycle.claim(uuid.uuid4(), "worker-1") is None


def test_an_expired_lease_is_taken_over_with_the_next_fence(submission):
    first = lifecycle.claim(row(submission).pk, "worker-1")
    expire_leases()
    second = lifecycle.claim(row(submission).pk, "worker-2")
    assert first is not None
    assert second is not None
    assert {key: fence + 1 for key, fence in first.fences.items()} == dict(second.fences)
    assert (second.attempt, row(submission).worker) == (2, "worker-2")


def test_a_worker_that_lost_its_lease_can_write_nothing(submission):
    late = lifecycle.claim(row(submission).pk, "worker-1")
    expire_leases()
    lifecycle.claim(row(submission).pk, "worker-2")
    before = list(submission.evaluations.order_by("pk").values())
    assert late is not None
    for write in (
        lambda: lifecycle.renew(late),
        lambda: lifecycle.record_progress(late, "encoding", 0.5, "log"),
        lambda: lifecycle.release(late),
        lambda: lifecycle.fail(late, "code", "message"),
        lambda: lifecycle.succeed(late, outcomes(late)),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert list(submission.evaluations.order_by("pk").values()) == before


def test_a_late_result_takes_its_whole_transaction_back(submission):
    late = lifecycle.claim(row(submission).pk, "worker-1")
    lifecycle.cancel(submission, submission.owner)
    assert late is not None

    def commit() -> None:
        with transaction.atomic():
            AuditEvent.objects.create(submission=submission, action="measured")
            lifecycle.succeed(late, outcomes(late))

    with pytest.raises(LeaseLost):
        commit()
    assert not AuditEvent.objects.filter(action="measured").exists()


def test_a_lease_that_ran_out_is_still_ours_while_nobody_took_it(submission):
    claim = lifecycle.claim(row(submission).pk, "worker-1")
    expire_leases()
    assert claim is not None
    lifecycle.renew(claim)
    assert row(submission).lease_until > timezone.now()
    assert lifecycle.claim(row(submission).pk, "worker-2") is None


def test_progress_is_written_to_both_rows_of_a_claim_and_keeps_the_lease(submission):
    claim = lifecycle.claim(row(submission).pk, "worker-1")
    expire_leases()
    assert claim is not None
    lifecycle.record_progress(claim, "encoding", 0.61, "one\ntwo")
    for track in (Track.RETRIEVAL, Track.SPARSITY):
        seen = row(submission, track)
        assert (seen.stage, seen.progress, seen.log) == ("encoding", 0.61, "one\ntwo")
        assert seen.lease_until > timezone.now()
    assert row(submission, Track.LATENCY).stage == ""


def test_a_release_does_not_count_the_attempt_and_asks_for_a_hint(submission):
    Evaluation.objects.update(published_at=timezone.now(), publications=3)
    claim = lifecycle.claim(row(submission).pk, "worker-1")
    assert claim is not None
    lifecycle.release(claim)
    released = row(submission)
    assert (released.state, released.attempts, released.lease_until, released.worker) == (
        "queued",
        0,
        None,
        "",
    )
    assert (released.published_at, released.publications, released.started_at) == (None, 0, None)
    again = lifecycle.claim(released.pk, "worker-2")
    assert again is not None
    assert again.fences[released.pk] == 2


def test_a_failure_shows_its_code_and_message_and_ends_the_evaluations(submission):
    claim = lifecycle.claim(row(submission).pk, "worker-1")
    assert claim is not None
    lifecycle.fail(claim, "model-load", "no such model")
    failed = row(submission, Track.SPARSITY)
    assert (failed.state, failed.error_code, failed.error_message) == (
        "failed",
        "model-load",
        "no such model",
    )
    assert failed.finished_at is not None
    assert lifecycle.claim(failed.pk, "worker-2") is None


def test_a_success_stores_each_evaluations_protocol_and_report(submission):
    claim = lifecycle.claim(row(submission).pk, "worker-1")
    assert claim is not None
    results = {
        claim.tracks[Track.RETRIEVAL]: Outcome("aaaaaaaaaaaa", {"metrics": {"nDCG@10": 0.5}}),
        claim.tracks[Track.SPARSITY]: Outcome("bbbbbbbbbbbb", {"metrics": {"flops": 1.5}}),
    }
    lifecycle.succeed(claim, results)
    retrieval, sparsity = row(submission), row(submission, Track.SPARSITY)
    assert (retrieval.state, retrieval.protocol) == ("succeeded", "aaaaaaaaaaaa")
    assert (sparsity.report, sparsity.lease_until) == ({"metrics": {"flops": 1.5}}, None)
    assert row(submission, Track.LATENCY).state == "queued"


def test_a_success_needs_an_outcome_for_each_evaluation_of_the_claim(submission):
    claim = lifecycle.claim(row(submission).pk, "worker-1")
    assert claim is not None
    with pytest.raises(ValueError, match="one outcome for each"):
        lifecycle.succeed(claim, {claim.tracks[Track.RETRIEVAL]: Outcome("a", {})})


def test_a_cancel_ends_what_waits_and_what_runs_and_names_who_did_it(submission):
    claim = lifecycle.claim(row(submission).pk, "worker-1")
    assert claim is not None
    assert lifecycle.cancel(submission, submission.owner) == 3
    assert {each.state for each in submission.evaluations.all()} == {"cancelled"}
    event = submission.events.get()
    assert (event.actor, event.action, event.detail) == (submission.owner, "cancel", "3 evaluations")
    with pytest.raises(LeaseLost):
        lifecycle.renew(claim)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_what_is_over_stays_as_it_is(db, state):
    submission = make_submission(state=state)
    before = list(submission.evaluations.order_by("pk").values())
    assert lifecycle.claim(submission.evaluations.all()[0].pk, "worker-1") is None
    assert lifecycle.cancel(submission, make_user("alice")) == 0
    Evaluation.objects.update(attempts=3)
    assert lifecycle.fail_exhausted() == 0
    Evaluation.objects.update(attempts=0)
    assert list(submission.evaluations.order_by("pk").values()) == before
    assert not submission.events.exists()


def test_after_three_lost_workers_the_evaluation_fails_and_says_why(submission):
    for number in (1, 2, 3):
        assert lifecycle.fail_exhausted() == 0
        claim = lifecycle.claim(row(submission).pk, f"worker-{number}")
        assert claim is not None
        assert claim.attempt == number
        expire_leases()
    assert lifecycle.claim(row(submission).pk, "worker-4") is None
    assert lifecycle.fail_exhausted() == 2
    failed = row(submission)
    assert (failed.state, failed.error_code) == ("failed", "WORKER-LOST")
    assert "3 attempts" in failed.error_message
    assert row(submission, Track.LATENCY).state == "queued"


def test_the_third_attempt_is_left_alone_while_its_lease_lives(submission):
    Evaluation.objects.update(attempts=2)
    assert lifecycle.claim(row(submission).pk, "worker-3")
    assert lifecycle.fail_exhausted() == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_claimers_at_once_one_gets_both_rows():
    submission = make_submission()
    ids = [each.pk for each in submission.evaluations.all()]
    start, won = threading.Barrier(6), []

    def compete(number: int) -> None:
        try:
            start.wait(10)
            if claim := lifecycle.claim(ids[number % 2], f"worker-{number}"):
                won.append(claim)
        finally:
            connection.close()

    claimers = [threading.Thread(target=compete, args=(number,)) for number in range(6)]
    for claimer in claimers:
        claimer.start()
    for claimer in claimers:
        claimer.join(30)
    assert len(won) == 1
    assert won[0].fences == dict.fromkeys(ids, 1)
    assert {each.worker for each in submission.evaluations.all()} == {won[0].worker}
