"""This worker process: its name, whether it is to stop, and the host's one turn at measuring latency."""

import fcntl
import os
import platform
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

WORKER = f"{platform.node()[:120]}:{os.getpid()}:{secrets.token_hex(3)}"
POLL_SECONDS = 0.5

stopping = threading.Event()


@contextmanager
def latency_turn(check: Callable[[], None]) -> Iterator[None]:
    """Wait until no other worker of this host measures latency; `check` raises where waiting is over."""
    settings.VAR.mkdir(parents=True, exist_ok=True)
    with (settings.VAR / "latency.lock").open("w") as lock:
        while not _locked(lock.fileno()):
            check()
            stopping.wait(POLL_SECONDS)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
