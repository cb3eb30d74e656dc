"""From a worker's start to its first task: who it is, whether its host has room, whether its numbers count.

A worker that does not reproduce the stored scores is quarantined: it stays, takes nothing, shows why, and
tries again after an hour. Its hints are taken by others.
"""

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, connection

from evaluations.latency.host import host_profile
from leaderboard.hosts import registry
from leaderboard.hosts.models import BaselineCheck
from leaderboard.hosts.registry import Identity

from . import baseline, host
from .heartbeat import ShuttingDown

logger = logging.getLogger(__name__)

SEEN_SECONDS = 30.0
QUARANTINE_SECONDS = 3600.0


@contextmanager
def admitted(queues: Sequence[str]) -> Iterator[None]:
    """Inside, this worker may take tasks. Raises TwoLatencyWorkers, ShuttingDown."""
    measures_latency = any(queue.startswith("latency.") for queue in queues)
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


def identify(queues: Sequence[str]) -> Identity:
    device = "gpu" if any(queue.endswith(".gpu") for queue in queues) else "cpu"
    profile = host_profile()
    return Identity(host.WORKER, profile.hash, profile.facts, profile.versions, tuple(queues), device)


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
    with host.one_of_host("baseline", _check_stopping):  # of workers that start together one checks for all
        known = _known(identity)
    failed = [check for check in known.values() if check.outcome == BaselineCheck.Outcome.FAILED]
    return "; ".join(_sentence(check) for check in failed)


def _check_stopping() -> None:
    if host.stopping.is_set():
        raise ShuttingDown


def _known(identity: Identity) -> dict[str, BaselineCheck]:
    """The last day's check of each reference; measured now where there is none, or one failed."""
    known = {check.system: check for check in registry.fresh_checks(identity)}
    if not known or any(check.outcome == BaselineCheck.Outcome.FAILED for check in known.values()):
        for found in baseline.reproductions(identity.device):
            registry.record_check(identity, found)
        known = {check.system: check for check in registry.fresh_checks(identity)}
    return known


def _sentence(check: BaselineCheck) -> str:
    if check.measured is None:
        return f"{check.system} on mini failed here: {check.message}"
    return (
        f"{check.system} on mini has {check.metric} {check.measured:.6f} here, not {check.expected:.6f}"
        f" (within {check.tolerance:g})"
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
