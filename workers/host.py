"""This worker process: its name, whether it is to stop, and the host's turns at measuring."""

import fcntl
import os
import platform
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from django.conf import settings

WORKER = f"{platform.node()[:120]}:{os.getpid()}:{secrets.token_hex(3)}"
POLL_SECONDS = 0.5

stopping = threading.Event()


class TwoLatencyWorkers(Exception):  # noqa: N818 - a state of the host, to be mended by its operator
    """Another worker of this host measures latency already."""


@contextmanager
def only_latency_worker() -> Iterator[None]:
    """Held for a latency worker's life. Raises TwoLatencyWorkers at once where another holds it."""
    with _lock_file("latency-worker.lock") as lock:
        if not _locked(lock, fcntl.LOCK_EX):
            raise TwoLatencyWorkers(
                "another worker of this host measures latency; two would disturb each other: stop one, or"
                " leave the latency queues out of --queues"
            )
        yield


@contextmanager
def one_of_host(name: str, check: Callable[[], None]) -> Iterator[None]:
    """Wait until no other worker of this host does what has this name; `check` raises to stop waiting."""
    with _lock_file(f"{name}.lock") as lock:
        _wait_for(lock, fcntl.LOCK_EX, check)
        yield


@contextmanager
def turn(*, alone: bool, check: Callable[[], None]) -> Iterator[None]:
    """Wait for the host: `alone` for latency, together with others otherwise. `check` raises to stop waiting.

    Who waits to be alone holds the gate, so that those who come later cannot keep it waiting for ever.
    """
    with _lock_file("turn.lock") as lock:
        with _lock_file("gate.lock") as gate:
            mode = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
            for each in (gate, lock):
                _wait_for(each, mode, check)
        yield


def _wait_for(lock: IO[str], mode: int, check: Callable[[], None]) -> None:
    while not _locked(lock, mode):
        check()
        stopping.wait(POLL_SECONDS)


@contextmanager
def _lock_file(name: str) -> Iterator[IO[str]]:
    settings.VAR.mkdir(parents=True, exist_ok=True)
    with (settings.VAR / name).open("w") as lock:
        yield lock


def _locked(lock: IO[str], mode: int) -> bool:
    try:
        fcntl.flock(lock.fileno(), mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
