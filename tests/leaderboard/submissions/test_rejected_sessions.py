"""A latency session on a noisy machine publishes nothing, and is tried again later, three times in all."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.submissions import lifecycle, reconciler
from leaderboard.submissions.lifecycle import LeaseLost
from leaderboard.submissions.models import Evaluation, State, Track
from tests.factories import make_submission

pytestmark = pytest.mark.django_db


@pytest.fixture
def evaluation() -> Evaluation:
    return make_submission(tracks=[Track.LATENCY]).evaluations.get()


def reject(evaluation: Evaluation) -> None:
    claim = lifecycle.claim(evaluation.pk, "worker")
    assert claim is not None
    lifecycle.reject(claim, "abc123abc123", "bm25 varied by 9 %")
    evaluation.refresh_from_db()


def make_due(evaluation: Evaluation) -> None:
    Evaluation.objects.filter(pk=evaluation.pk).update(not_before=timezone.now() - timedelta(seconds=1))


def test_it_waits_before_it_is_tried_again_and_the_attempt_is_not_counted(evaluation, settings):
    reject(evaluation)
    assert (evaluation.state, evaluation.attempts) == (State.QUEUED, 0)
    assert evaluation.not_before > timezone.now() + timedelta(seconds=settings.LATENCY_RETRY_SECONDS - 60)
    assert [each["reason"] for each in evaluation.rejections] == ["bm25 varied by 9 %"]
    assert lifecycle.claim(evaluation.pk, "worker") is None
    assert list(reconciler.unheard()) == []
    make_due(evaluation)
    assert [row.pk for row in reconciler.unheard()] == [evaluation.pk]


def test_the_third_rejection_ends_it_with_a_reason_a_person_can_read(evaluation):
    for _ in range(2):
        reject(evaluation)
        make_due(evaluation)
    reject(evaluation)
    assert (evaluation.state, evaluation.error_code) == (State.FAILED, "LATENCY-REJECTED")
    assert evaluation.error_message.startswith("3 sessions were rejected, so no time is published")
    assert len(evaluation.rejections) == 3


def test_a_worker_that_lost_its_lease_cannot_reject(evaluation):
    claim = lifecycle.claim(evaluation.pk, "first")
    Evaluation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert lifecycle.claim(evaluation.pk, "second") is not None
    with pytest.raises(LeaseLost):
        lifecycle.reject(claim, "abc123abc123", "late")
    evaluation.refresh_from_db()
    assert (evaluation.state, evaluation.rejections) == (State.RUNNING, [])
