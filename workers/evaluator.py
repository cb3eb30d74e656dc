"""Running one process of the evaluator: its progress, its limits, its end."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import psutil
from django.conf import settings

from evaluations.errors import EvaluationError, EvaluationFailed

from . import sandbox
from .sandbox import Step

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.25
LINE_BYTES = 8192
KEPT_LINES = 200
OWN_MEMORY = ("RssAnon:", "RssShmem:")  # a file in a tmpfs is memory
WRONG_INPUT, FAILED = 2, 3
TRACEBACK = "Traceback (most recent call last)"

OPERATOR = "The operator's log has the details."


class Watcher(Protocol):
    """Whoever is told how far a step is, and says whether it should go on."""

    def check(self) -> None: ...

    def progress(self, stage: str, share: float | None) -> None: ...

    def note(self, line: str) -> None: ...


@dataclass(frozen=True)
class Limits:
    """`deadline` on the monotonic clock, `seconds` before which the evaluation began."""

    deadline: float
    memory_bytes: int
    seconds: int = 0

    @classmethod
    def of_settings(cls, workload: int = 1) -> "Limits":
        """`workload`: how many plain evaluations it amounts to; a point that encodes again counts as one."""
        most = settings.EVALUATION_SWEEPS_LIMIT_SECONDS
        seconds = min(workload * settings.EVALUATION_HARD_LIMIT_SECONDS, most)
        return cls(time.monotonic() + seconds, settings.EVALUATION_MEMORY_BYTES, seconds)


def run(step: Step, folder: Path, watcher: Watcher, limits: Limits) -> None:
    """Run a step to its end.

    Raises EvaluationError for what the submitter can mend, EvaluationFailed for what is ours, and whatever
    `watcher.check` raises. No process of the step is left when this returns.
    """
    process = subprocess.Popen(
        sandbox.command(step),
        cwd=folder,
        env=sandbox.environment(step, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    voice = Voice(step, folder, watcher)
    readers = [
        threading.Thread(target=_read, args=(process.stdout, voice.progress_line), daemon=True),
        threading.Thread(target=_read, args=(process.stderr, voice.error_line), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        _watch(process, watcher, limits)
    finally:
        _end(process)
        for reader in readers:
            reader.join(5)
    voice.judge(process.returncode)


def _read(stream: IO[bytes] | None, take: Callable[[str], None]) -> None:
    """Line by line, and a line without end in pieces."""
    assert stream is not None  # noqa: S101 - both are pipes
    with stream:
        while line := stream.readline(LINE_BYTES):
            take(line.decode("utf-8", errors="replace").rstrip())


def _watch(process: "subprocess.Popen[bytes]", watcher: Watcher, limits: Limits) -> None:
    while True:
        try:
            process.wait(WATCH_SECONDS)
        except subprocess.TimeoutExpired:
            watcher.check()
            _check_limits(process.pid, limits)
        else:
            return


def _check_limits(pid: int, limits: Limits) -> None:
    used = resident_bytes(pid)
    if used > limits.memory_bytes:
        raise EvaluationFailed(
            "MEMORY-LIMIT",
            f"The evaluation was stopped when it used {used / 2**30:.1f} GiB of memory; this board allows"
            f" {limits.memory_bytes / 2**30:.1f} GiB. Submit a smaller model, or ask the operator for more.",
        )
    if time.monotonic() > limits.deadline:
        raise EvaluationFailed(
            "TIME-LIMIT",
            f"The evaluation was stopped after {limits.seconds:,} s, the longest this board allows for one"
            " dataset and its operating points. Submit a smaller model or fewer points, or ask the operator"
            " for more.",
        )


def resident_bytes(pid: int) -> int:
    """Memory of a process and all it started.

    Files mapped into it are left out, however much of them was read: the system may take that back.
    """
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_resident, family))


def _resident(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        own = [int(line.split()[1]) * 1024 for line in lines if line.startswith(OWN_MEMORY)]
        return sum(own) if own else int(process.memory_info().rss)
    except (OSError, psutil.Error):
        return 0


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Everything in the step's session, whether its first process is over or not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Voice:
    """What a step says: progress and notes to the watcher, tracebacks to our log, and how it ended."""

    def __init__(self, step: Step, folder: Path, watcher: Watcher) -> None:
        self._step, self._folder, self._watcher = step, folder, watcher
        self._errors: deque[str] = deque(maxlen=KEPT_LINES)
        self._in_traceback = False
        self._stage = step.stage or "loading"

    def progress_line(self, line: str) -> None:
        """A JSON line of progress; anything else is a note."""
        try:
            said = json.loads(line)
            stage, share, message = said["stage"], said["share"], said["message"]
        except (ValueError, KeyError, TypeError):
            self._note(line)
            return
        if isinstance(stage, str):
            self._stage = self._step.stage or stage
            self._watcher.progress(self._stage, _share(share))
        if isinstance(message, str):
            self._note(message)

    def error_line(self, line: str) -> None:
        self._errors.append(line)
        self._in_traceback = self._in_traceback or line.startswith(TRACEBACK)
        if not self._in_traceback and not line.startswith("error["):
            self._note(line)

    def _note(self, line: str) -> None:
        if line:
            self._watcher.note(self._public(line))

    def _public(self, text: str) -> str:
        """Without the folder of this attempt, which means nothing to a reader."""
        return text.replace(f"{self._folder}/", "").replace(str(self._folder), ".")

    def judge(self, status: int) -> None:
        """Return where the step ended well; raise what it ended with otherwise."""
        if status == 0:
            return
        code, message = self._error()
        if status == WRONG_INPUT and code:
            raise EvaluationError(code, message)
        logger.error("%s ended with status %d:\n%s", self._step.name, status, "\n".join(self._errors))
        if status == FAILED and code:
            raise EvaluationFailed(code, f"The evaluation failed: {message}. {OPERATOR}")
        raise EvaluationFailed(*_crash(status, self._stage))

    def _error(self) -> tuple[str, str]:
        """The last `error[CODE]: message`, or two empty texts."""
        for line in reversed(self._errors):
            code, found, message = line.removeprefix("error[").partition("]: ")
            if line.startswith("error[") and found:
                return code[:60], self._public(message)
        return "", ""


def _share(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value)


def _crash(status: int, stage: str) -> tuple[str, str]:
    if status == -signal.SIGKILL:
        return (
            "OUT-OF-MEMORY",
            f"The evaluator was killed by the system while {stage}, most likely because the machine ran out"
            f" of memory. Submit a smaller model, or ask the operator for a larger machine. {OPERATOR}",
        )
    ended = f"with signal {-status} ({_signal_name(-status)})" if status < 0 else f"with status {status}"
    return "EVALUATOR-CRASHED", f"The evaluator ended {ended} while {stage}. {OPERATOR}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
