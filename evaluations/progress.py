"""Saying how far an evaluation is: a bar on a terminal, plain lines in a log, JSON lines for a worker."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never, TextIO

from tqdm import tqdm

STAGES = (
    "loading", "encoding", "searching", "reranking", "profiling", "sweeping", "timing", "scoring", "writing",
)  # fmt: skip
JSON_INTERVAL_S = 0.5
LINE_INTERVAL_S = 15.0


class Progress:
    """Counts and times the stages, and says nothing. The others of this file add a voice."""

    def __init__(self) -> None:
        self.durations_s: dict[str, float] = {}
        self.name: str | None = None
        self.total: int | None = None
        self.done = 0
        self._started = 0.0

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[None]:
        """One of `STAGES`, of `total` units of work where that is known. A repeated stage's times add up."""
        self.name, self.total, self.done = name, total, 0
        self._started = time.perf_counter()
        self.stage_started()
        completed = False
        try:
            yield
            completed = True
        finally:
            elapsed = time.perf_counter() - self._started
            self.durations_s[name] = self.durations_s.get(name, 0.0) + elapsed
            self.stage_ended(completed)
            self.name = None

    @property
    def share(self) -> float | None:
        """Share of the stage that is done, from 0 to 1; None where the amount of work is not known."""
        return min(self.done / self.total, 1.0) if self.total else None

    def advance(self, count: int = 1) -> None:
        self.done += count
        self.advanced(count)

    def note(self, message: str) -> None:
        """A line for the log: a warning, a fallback."""

    # What a subclass says, if anything.
    def stage_started(self) -> None: ...

    def stage_ended(self, completed: bool) -> None: ...

    def advanced(self, count: int) -> None: ...


class TerminalProgress(Progress):
    """A bar a stage, on standard error."""

    bar: "tqdm[Never] | None" = None

    def stage_started(self) -> None:
        self.bar = tqdm(total=self.total, desc=self.name, file=sys.stderr, leave=False, dynamic_ncols=True)

    def stage_ended(self, completed: bool) -> None:
        if self.bar is not None:
            self.bar.close()

    def advanced(self, count: int) -> None:
        if self.bar is not None:
            self.bar.update(count)

    def note(self, message: str) -> None:
        tqdm.write(message, file=sys.stderr)


class LineProgress(Progress):
    """Plain lines on standard output. Standard error stays free for the one line of an error."""

    _said = 0.0

    def stage_started(self) -> None:
        self._said = time.monotonic()
        print(self.name, flush=True)

    def advanced(self, count: int) -> None:
        if self.share is not None and time.monotonic() - self._said >= LINE_INTERVAL_S:
            self._said = time.monotonic()
            print(f"{self.name} {self.share:.0%}", flush=True)

    def note(self, message: str) -> None:
        print(message, flush=True)


class JsonProgress(Progress):
    """One JSON object a line: `{"stage", "share", "message"}`. Ends of stages are never left out."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream if stream is not None else sys.stdout
        self._said = 0.0

    def stage_started(self) -> None:
        self._write(0.0 if self.total else None, None)

    def stage_ended(self, completed: bool) -> None:
        self._write(1.0 if completed else self.share, None)

    def advanced(self, count: int) -> None:
        if time.monotonic() - self._said >= JSON_INTERVAL_S:
            self._write(self.share, None)

    def note(self, message: str) -> None:
        self._write(self.share, message)

    def _write(self, share: float | None, message: str | None) -> None:
        self._said = time.monotonic()
        line = {"stage": self.name, "share": None if share is None else round(share, 4), "message": message}
        print(json.dumps(line, allow_nan=False), file=self._stream, flush=True)


def for_console(*, json_lines: bool) -> Progress:
    """The voice that fits where the output goes."""
    if json_lines:
        return JsonProgress()
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()
