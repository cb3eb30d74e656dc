"""From a worker's start to its first task: who it is, whether its host has room, whether its numbers count.

A worker that does not reproduce the stored scores is quarantined: it stays, takes nothing, shows why, and
tries again after an hour. Its hints are taken by others.
"""

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, connection

from evaluations import provenance
from evaluations.latency.host import host_profile
from evaluations.reference_scores import REFERENCE_SCORES, ReferenceScore
from leaderboard.hosts import registry
from leaderboard.hosts.models import BaselineCheck
from leaderboard.hosts.registry import Identity
from leaderboard.submissions.models import Track

from . import baseline, host
from .heartbeat import ShuttingDown

logger = logging.getLogger(__name__)

SEEN_SECONDS = 30.0
QUARANTINE_SECONDS = 3600.0


@contextmanager
def admitted(queues: Sequence[str]) -> Iterator[None]:
    """Inside, this worker may take tasks. Raises NotStarted, ShuttingDown."""
    measures_latency = _measures_latency(queues)
    with _signals_heard(), host.only_latency_worker() if measures_latency else nullcontext():
        identity = identify(queues)
        registry.register(identity)
        with _presence():
            _wait_until_trusted(identity)
            registry.admit(host.WORKER)
            try:
                yield
            finally:
                registry.leave(host.WORKER)


def _measures_latency(queues: Sequence[str]) -> bool:
    """Raises NotStarted where it would do other work too: one job at a time would not keep its host quiet."""
    timed = [queue for queue in queues if queue.startswith(f"{Track.LATENCY}.")]
    others = [queue for queue in queues if queue not in timed]
    if timed and others:
        raise host.NotStarted(
            "--queues names latency and other queues, but a latency worker takes nothing else: start one"
            f" worker with --queues {','.join(timed)} and another with --queues {','.join(others)}"
        )
    return bool(timed)


def identify(queues: Sequence[str]) -> Identity:
    """Its device is the first that its queues name."""
    profile, device = host_profile(), _devices(queues)[0]
    versions = {**profile.versions, "sparseboard": provenance.sparseboard_version()}
    return Identity(host.WORKER, profile.hash, profile.facts, versions, tuple(queues), device)


def _devices(queues: Sequence[str]) -> list[str]:
    return sorted({"gpu" if queue.endswith(".gpu") else "cpu" for queue in queues})


def _wait_until_trusted(identity: Identity) -> None:
    while problem := _problem(identity):
        logger.error("quarantined: %s", problem)
        registry.quarantine(host.WORKER, problem)
        if host.stopping.wait(QUARANTINE_SECONDS):
            raise ShuttingDown


def _problem(identity: Identity) -> str:
    """Why this machine's numbers must not count; empty where they may."""
    if not settings.BASELINE_CHECK:
        return ""
    on_each = [replace(identity, device=device) for device in _devices(identity.queues)]
    with host.one_of_host("baseline", _check_stopping):  # of workers that start together one checks for all
        checks = [check for each in on_each for check in _known(each)]
    return "; ".join(_sentence(check) for check in checks if _has_failed(check))


def _check_stopping() -> None:
    if host.stopping.is_set():
        raise ShuttingDown


def _known(identity: Identity) -> list[BaselineCheck]:
    """The last day's check of each reference on one device; measured now where it failed or is missing.

    Each is recorded when it is known, so that a worker may have ended between two of them.
    """
    known = _fresh(identity)
    for reference in REFERENCE_SCORES:
        if reference not in known or _has_failed(known[reference]):
            with host.turn(alone=False, check=_check_stopping):  # not into a session of this host
                registry.record_check(identity, baseline.reproduction(reference, identity.device))
    known |= _fresh(identity)
    return [known[reference] for reference in REFERENCE_SCORES]


def _fresh(identity: Identity) -> dict[ReferenceScore, BaselineCheck]:
    """By the whole of what was expected: a check of another score says nothing of this one."""
    return {
        ReferenceScore(check.system, check.metric, check.expected, check.tolerance): check
        for check in registry.fresh_checks(identity)
    }


def _has_failed(check: BaselineCheck) -> bool:
    return check.outcome == BaselineCheck.Outcome.FAILED


def _sentence(check: BaselineCheck) -> str:
    if check.measured is None:
        return f"{check.system} on mini failed here on {check.device}: {check.message}"
    return (
        f"{check.system} on mini has {check.metric} {check.measured:.6f} here, not {check.expected:.6f}"
        f" (within {check.tolerance:g}, on {check.device})"
    )


@contextmanager
def _signals_heard() -> Iterator[None]:
    """Celery listens only once it runs; until then SIGTERM must end a check and the worker."""

    def stop(_: int, __: FrameType | None) -> None:
        host.stopping.set()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
    yield


@contextmanager
def _presence() -> Iterator[None]:
    """Says now and then that this worker is there, from a thread of its own."""
    over = threading.Event()
    thread = threading.Thread(target=_say_often, args=(over,), name="presence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)


def _say_often(over: threading.Event) -> None:
    while not over.wait(SEEN_SECONDS):
        try:
            registry.seen(host.WORKER)
        except DatabaseError:
            logger.warning("the database did not answer; this worker is seen again later")
        finally:
            connection.close()
