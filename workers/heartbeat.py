"""Keeping a claim alive while its evaluator runs, and telling people how far it is."""

import logging
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connection

from leaderboard.submissions import lifecycle
from leaderboard.submissions.lifecycle import Claim, LeaseLost

from . import host

logger = logging.getLogger(__name__)

LOG_LINES = 40
LINE_LENGTH = 300
PROGRESS_SECONDS = 1.0


class ShuttingDown(Exception):  # noqa: N818 - an event to act on, not an error
    """The worker was told to stop: give the rows back."""


class Heartbeat:
    """Renews the lease from a thread of its own, with what is new about progress at most once a second.

    The evaluation's thread calls `check` often: it raises where going on has no more use.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._lock = threading.Lock()
        self._stage, self._share = "", None  # type: tuple[str, float | None]
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._news = False
        self._written_at = time.monotonic()
        self._lost: LeaseLost | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if error is not None:
            self.flush()  # the log's last lines say why

    def check(self) -> None:
        """Raises LeaseLost where the claim is gone, ShuttingDown where this worker is to stop."""
        if self._lost:
            raise self._lost
        if host.stopping.is_set():
            raise ShuttingDown

    def progress(self, stage: str, share: float | None) -> None:
        with self._lock:
            if stage != self._stage:
                self._add(stage)
            self._stage, self._share, self._news = stage[:40], share, True

    def note(self, line: str) -> None:
        with self._lock:
            self._add(line)
            self._news = True

    def flush(self) -> None:
        """Write what was not written yet. A claim that is gone shows at the next `check`."""
        if self._news and not self._lost:
            self._write()

    def _add(self, line: str) -> None:
        self._log.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {line[:LINE_LENGTH]}")

    def _beat(self) -> None:
        try:
            while not self._lost and not self._over.wait(PROGRESS_SECONDS):
                if self._news or time.monotonic() - self._written_at >= settings.HEARTBEAT_SECONDS:
                    self._write()
        finally:
            connection.close()

    def _write(self) -> None:
        with self._lock:
            stage, share, log = self._stage, self._share, "\n".join(self._log)
            self._news = False
        try:
            lifecycle.record_progress(self._claim, stage, share, log)
            self._written_at = time.monotonic()
        except LeaseLost as lost:
            self._lost = lost
        except DatabaseError:
            # The lease may run out meanwhile. If another worker takes it, the next beat that arrives says so.
            logger.exception("a heartbeat was lost")
            connection.close()
