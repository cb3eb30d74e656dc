"""Which rows the reconciler sends hints for, and which it ends."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from leaderboard.submissions import lifecycle, reconciler
from leaderboard.submissions.models import Evaluation, State
from tests.conftest import ROOT
from tests.factories import make_submission


def ago(seconds: float):
    return timezone.now() - timedelta(seconds=seconds)


def sent_for(recorder) -> int:
    recorder.sent.clear()
    reconciler.reconcile()
    return len(recorder.sent)


def test_what_was_never_published_is_published_once(db, recorder):
    submission = make_submission()
    assert sent_for(recorder) == 1
    assert {each.publications for each in submission.evaluations.all()} == {1}
    assert sent_for(recorder) == 0


@pytest.mark.parametrize(
    ("publications", "seconds", "expected"),
    [
        (1, 55, 0),
        (1, 65, 1),
        (2, 115, 0),
        (2, 125, 1),
        (3, 235, 0),
        (3, 245, 1),
        (4, 475, 0),
        (4, 485, 1),
        (5, 595, 0),
        (5, 605, 1),
        (40, 595, 0),
        (40, 605, 1),
    ],
)
def test_a_lost_hint_is_sent_again_after_an_interval_that_doubles_to_ten_minutes(
    db,
    recorder,
    publications,
    seconds,
    expected,
):
    make_submission()
    Evaluation.objects.update(published_at=ago(seconds), publications=publications)
    assert sent_for(recorder) == expected


def test_an_expired_lease_gets_a_hint_at_once_and_then_like_a_waiting_row(db, recorder):
    submission = make_submission()
    Evaluation.objects.update(published_at=ago(300), publications=1)
    assert lifecycle.claim(submission.evaluations.all()[0].pk, "worker-1")
    assert sent_for(recorder) == 0
    Evaluation.objects.update(lease_until=ago(1))
    assert sent_for(recorder) == 1
    assert sent_for(recorder) == 0
    Evaluation.objects.update(published_at=ago(61), lease_until=ago(70))
    assert sent_for(recorder) == 1


def test_a_released_row_gets_a_hint_at_once(db, recorder):
    submission = make_submission()
    Evaluation.objects.update(published_at=ago(1), publications=1)
    claim = lifecycle.claim(submission.evaluations.all()[0].pk, "worker-1")
    assert claim is not None
    lifecycle.release(claim)
    assert sent_for(recorder) == 1


def test_what_used_its_attempts_fails_and_gets_no_hint(db, recorder):
    submission = make_submission()
    Evaluation.objects.update(attempts=2)
    assert lifecycle.claim(submission.evaluations.all()[0].pk, "worker-3")
    Evaluation.objects.update(lease_until=ago(1))
    assert sent_for(recorder) == 0
    assert {each.error_code for each in submission.evaluations.all()} == {"WORKER-LOST"}


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_what_is_over_is_left_alone(db, recorder, state):
    make_submission(state=state)
    assert sent_for(recorder) == 0


def test_a_broker_that_is_down_ends_a_round_and_not_the_reconciler(db, recorder):
    recorder.patience = 0
    make_submission()
    assert sent_for(recorder) == 0
    recorder.patience = None
    assert sent_for(recorder) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_at_once_when_asked(tmp_path, number):
    environment = os.environ | {
        "SPARSEBOARD_VAR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
    }
    command = [sys.executable, "manage.py", "reconcile"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    # The database has no tables, so the first round is lost: from then on it waits for the next one.
    assert any("this round was lost" in line for line in process.stderr)
    process.send_signal(number)
    started = time.monotonic()
    assert process.wait(10) == 0
    assert time.monotonic() - started < 3
