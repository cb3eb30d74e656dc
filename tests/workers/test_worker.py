"""A real worker process over the folder: signals, kills, lost and doubled hints."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.db import connection
from django.utils import timezone

from leaderboard.submissions import outbox, reconciler
from leaderboard.submissions.models import Evaluation, Submission
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

QUEUES = "retrieval.cpu,sparsity.cpu"


@pytest.fixture
def start(var: Path) -> Iterator[Callable[[], subprocess.Popen]]:
    """Start workers as documented; whatever is left of them at the end is killed."""
    workers: list[subprocess.Popen] = []
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SPARSEBOARD_")}
    environment |= the_tests_database() | {
        "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
        "SPARSEBOARD_VAR": str(var),
        "SPARSEBOARD_HOST_LOCKS": str(var),
        "SPARSEBOARD_EVALUATOR_MODULE": "tests.workers.stand_in",
        "SPARSEBOARD_LEASE_SECONDS": "3",
        "SPARSEBOARD_HEARTBEAT_SECONDS": "1",
        "SPARSEBOARD_BASELINE_CHECK": "0",
    }
    celery = ["-m", "celery", "-A", "workers.celery", "worker", "--pool", "threads", "--concurrency", "1"]

    def start_one() -> subprocess.Popen:
        with (var / "worker.log").open("ab") as log:
            command = [sys.executable, *celery, "--queues", QUEUES]
            workers.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
        return workers[-1]

    yield start_one
    for worker in workers:
        worker.kill()
        worker.wait()


def the_tests_database() -> dict[str, str]:
    """PostgreSQL's, where the tests run on it; SQLite's lies in the board's folder."""
    if connection.vendor == "sqlite":
        return {}
    keys = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
    database = {f"SPARSEBOARD_DB_{key}": str(connection.settings_dict[key]) for key in keys}
    return database | {"SPARSEBOARD_SECRET_KEY": "only-for-this-test"}


def row(submission: Submission) -> Evaluation:
    return submission.evaluations.get(track="retrieval")


def wait_until(condition: Callable[[], bool], what: str, var: Path, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what}\n{(var / 'worker.log').read_text()[-3000:]}"
        time.sleep(0.1)


def pid_of_evaluator(submission: Submission) -> int:
    """The stand-in that hangs says it in the log."""
    return int(row(submission).log.rpartition("pid ")[2].split()[0])


def is_dead(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_sigterm_stops_the_evaluator_gives_the_rows_back_and_ends_the_worker(submit, start, var):
    submission = submit("hang")
    outbox.publish_submission(submission.pk)
    worker = start()
    wait_until(lambda: "pid " in row(submission).log, "running", var)
    evaluator = pid_of_evaluator(submission)
    worker.send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert worker.wait(20) == 0
    assert time.monotonic() - told < 8
    assert is_dead(evaluator)
    for each in submission.evaluations.all():
        assert (each.state, each.attempts, each.worker, each.published_at) == ("queued", 0, "", None)
    assert list((var / "attempts").iterdir()) == []


def test_after_kill_nine_the_evaluator_dies_and_another_worker_finishes(submit, start, var, settings):
    """The message died with the worker: only the reconciler brings the row to the next one."""
    submission = submit("hang")
    outbox.publish_submission(submission.pk)
    first, second = start(), None
    wait_until(lambda: "pid " in row(submission).log, "running", var)
    evaluator = pid_of_evaluator(submission)
    first.kill()
    first.wait()
    wait_until(lambda: is_dead(evaluator), "dead", var)
    submission.revision.options = {}
    submission.revision.save()
    second = start()
    wait_until(lambda: reconciler.unheard().exists(), "expired", var)
    reconciler.reconcile()
    wait_until(lambda: row(submission).is_terminal, "over", var)
    done = row(submission)
    assert (done.state, done.fence, done.attempts) == ("succeeded", 2, 2)
    assert second.poll() is None
    assert len(list((var / "artefacts" / "evaluations" / str(done.pk)).iterdir())) == 1


def test_two_workers_evaluate_each_once_whether_hints_are_doubled_or_lost(submit, start, var):
    doubled, lost = submit(), submit()
    outbox.publish_submission(lost.pk)
    (message,) = (var / "broker" / "messages").iterdir()
    message.unlink()
    for _ in range(3):
        outbox.publish_submission(doubled.pk)
    start()
    start()
    wait_until(lambda: row(doubled).is_terminal, "over", var)
    wait_until(lambda: not list((var / "broker" / "messages").iterdir()), "heard", var)
    assert row(lost).state == "queued"
    long_ago = timezone.now() - timedelta(seconds=reconciler.FIRST_INTERVAL_SECONDS + 1)
    lost.evaluations.update(published_at=long_ago)
    reconciler.reconcile()
    wait_until(lambda: row(lost).is_terminal, "healed", var)
    for submission in (doubled, lost):
        done = row(submission)
        assert (done.state, done.fence, done.attempts) == ("succeeded", 1, 1)
