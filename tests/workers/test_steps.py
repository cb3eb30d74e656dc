"""Which steps of an attempt wait for the host's turn, and which do not."""

from contextlib import contextmanager

import pytest

from evaluations.errors import EvaluationFailed
from leaderboard.submissions.models import Track
from tests.factories import make_submission
from workers import evaluator, host, tasks

pytestmark = pytest.mark.django_db(transaction=True)

TURN = "the host's turn"


@pytest.fixture
def order(monkeypatch):
    """The steps and the turn in their order, up to the measuring, which fails."""
    found: list[str] = []
    run = evaluator.run

    @contextmanager
    def turn(*, alone, check):
        found.append(f"{TURN} alone" if alone else TURN)
        yield

    def note(step, *arguments):
        found.append(step.name)
        if step.name not in ("fetch", "write"):
            raise EvaluationFailed("STOPPED", "that was to be seen")
        run(step, *arguments)

    monkeypatch.setattr(host, "turn", turn)
    monkeypatch.setattr(evaluator, "run", note)
    return found


def evaluate(submission, track="retrieval"):
    tasks.evaluate(str(submission.evaluations.get(track=track).pk))
    return submission.evaluations.get(track=track)


def test_only_what_waits_for_a_network_runs_before_the_turn(submit, order):
    assert evaluate(submit()).error_code == "STOPPED"
    assert order == ["fetch", TURN, "write", "measure"]


def test_what_is_written_already_is_not_written_again(submit, order):
    evaluate(submit())
    order.clear()
    evaluate(submit())
    assert order == ["fetch", TURN, "measure"]


def test_a_session_writes_in_the_turn_that_it_has_alone(submit, order):
    submission = make_submission(benchmark=submit().benchmark, revision=submit().revision, tracks=list(Track))
    evaluate(submission, "latency")
    assert order == ["fetch", f"{TURN} alone", "write", "calibrate"]
