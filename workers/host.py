"""This worker process: its name, whether it is to stop, and the host's turns at measuring."""

import contextlib
import fcntl
import os
import platform
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings

WORKER = f"{platform.node()[:120]}:{os.getpid()}:{secrets.token_hex(3)}"
POLL_SECONDS = 0.5
LATENCY_WORKER = "latency-worker.lock"

stopping = threading.Event()


class NotStarted(Exception):  # noqa: N818 - a state of the host, to be mended by its operator
    """This worker may not start as it was told to; the message says why, and what to do."""


class TwoLatencyWorkers(NotStarted):
    """Another worker of this host measures latency already."""


@contextmanager
def only_latency_worker() -> Iterator[None]:
    """Held for a latency worker's life. Raises TwoLatencyWorkers at once where another of this host holds it,
    of this board or another, and NotStarted where that cannot be found out.
    """
    with _lock_file(LATENCY_WORKER) as own, _lock_of_host() as shared:
        for lock in (own, shared):
            if not _locked(lock, fcntl.LOCK_EX):
                raise TwoLatencyWorkers(
                    f"another worker of this host measures latency and holds {lock.name}; two would disturb"
                    " each other: stop one, or leave the latency queues out of --queues"
                )
        yield


def _lock_of_host() -> IO[str]:
    """A file that the workers of every board on this host know, whoever runs them."""
    path = Path(settings.HOST_LOCKS) / f"sparseboard-{LATENCY_WORKER}"
    try:
        return open(path, opener=_for_everybody)
    except OSError as error:
        raise NotStarted(
            f"{path} cannot be opened ({error.strerror}), by which the latency workers of this host know of"
            " each other: name a folder by SPARSEBOARD_HOST_LOCKS where all their users may write, as /tmp is"
        ) from error


def _for_everybody(path: str, _: int) -> int:
    """Opens for reading, which is enough to lock, and makes the file where it is missing.

    What is there is never opened to be made: in a folder as /tmp the kernel refuses that to all but the
    file's owner (fs.protected_regular).
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with contextlib.suppress(FileExistsError):
        made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
        os.fchmod(made, 0o644)  # whatever the umask says
        return made
    return os.open(path, flags)


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
