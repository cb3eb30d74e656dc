"""Web, worker and reconciler on one machine: started together, restarted when they die, stopped together.

Each child has a session of its own, so that Ctrl-C reaches only the supervisor, and is told to end when the
supervisor dies, however that happens.
"""

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, TextIO

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from .broker import queue_name

TICK_SECONDS = 0.2
GRACE_SECONDS = 15.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# What ran this long before it died starts again without the pauses of those that die at once.
STEADY_SECONDS = 60.0
READ_BYTES = 65_536

# Asks the kernel for SIGTERM at the parent's death (PR_SET_PDEATHSIG), and becomes the command.
_TIED = (
    "import ctypes, os, sys;"
    "ctypes.CDLL(None).prctl(1, 15, 0, 0, 0);"
    "os.getppid() == int(sys.argv[1]) or sys.exit(1);"
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@dataclass(frozen=True)
class Service:
    name: str
    command: Sequence[str]


def services(port: int) -> list[Service]:
    """What the board needs on this machine, with a GPU worker where there is a GPU.

    Latency has a worker of its own, and one only: it waits until the others rest, and they wait for it.
    """
    devices = ["cpu", "gpu"] if has_gpu() else ["cpu"]
    web = ["gunicorn", "leaderboard.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8"]
    web += ["--graceful-timeout", "3", "--no-control-socket"]
    found = [
        Service("web", [sys.executable, "-m", *web]),
        Service("worker", worker_command(["retrieval", "sparsity"], ["cpu"])),
        Service("latency-worker", worker_command(["latency"], devices)),
        Service("reconciler", [sys.executable, "manage.py", "reconcile"]),
    ]
    gpu = Service("gpu-worker", worker_command(["retrieval", "sparsity"], ["gpu"]))
    return [*found, gpu] if "gpu" in devices else found


def worker_command(tracks: Sequence[str], devices: Sequence[str]) -> list[str]:
    queues = ",".join(queue_name(track, device) for track in tracks for device in devices)
    return [sys.executable, "-m", "workers", "--queues", queues]


def has_gpu() -> bool:
    """Whether torch sees one. It is asked in a process of its own, and only where a driver is installed."""
    if not shutil.which("nvidia-smi"):
        return False
    question = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return subprocess.run([sys.executable, "-c", question], check=False, capture_output=True).returncode == 0


def prepare(port: int) -> None:
    """The database and static files as this version needs them. Raises CommandError: the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            problem = f"port {port} of this machine is taken: end what uses it, or choose another with --port"
            raise CommandError(problem) from error
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


@dataclass
class Child:
    """A service and the process that does its work now, if any."""

    service: Service
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    unfinished: bytes = field(default=b"", repr=False)

    @property
    def is_running(self) -> bool:
        return self.process is not None


class Supervisor:
    """Runs services until it is told to stop.

    `on_ready` is called once, in a thread of its own, when `address` answers; if it fails, everything stops.
    """

    def __init__(
        self,
        wanted: Sequence[Service],
        *,
        address: str = "",
        on_ready: Callable[[], None] | None = None,
        output: TextIO | None = None,
    ) -> None:
        self._children = [Child(service) for service in wanted]
        self._address, self._on_ready = address, on_ready
        self._output = output or sys.stdout
        self._width = max(len(service.name) for service in wanted)
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._status = 0

    def run(self) -> int:
        """Blocks; to be called in the main thread. The exit status: 0, or 1 where `on_ready` failed."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        previous = {number: signal.signal(number, self._told_to_stop) for number in signals}
        try:
            while not self._signals:
                self._keep_running()
                self._pass_output(TICK_SECONDS)
                self._look_whether_ready()
        finally:
            self._stop_all()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._status

    def stop(self) -> None:
        """Ends `run` soon. May be called from any thread."""
        self._signals += 1

    def _told_to_stop(self, *_: Any) -> None:
        self.stop()

    def _keep_running(self) -> None:
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child)
            if child.process is None and time.monotonic() >= child.start_again_at:
                self._start(child)

    def _start(self, child: Child) -> None:
        tied = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *child.service.command]
        child.process = subprocess.Popen(
            tied,
            cwd=settings.BASE_DIR,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "leaderboard.settings", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        child.started_at = time.monotonic()
        assert child.process.stdout is not None  # noqa: S101 - it is a pipe
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _bury(self, child: Child) -> None:
        """Take leave of a process that ended by itself, and set when its service starts again."""
        process = self._forget(child)
        if time.monotonic() - child.started_at > STEADY_SECONDS:
            child.pause = FIRST_PAUSE_SECONDS
        self._say(child, f"ended with status {process.returncode}; starts again in {child.pause:g} s")
        child.start_again_at = time.monotonic() + child.pause
        child.pause = min(child.pause * 2, LONGEST_PAUSE_SECONDS)

    def _forget(self, child: Child) -> "subprocess.Popen[bytes]":
        process = child.process
        assert process is not None  # noqa: S101 - only called for running ones
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started, and did not take along
        self._read(child)
        self._listen_no_more(process.stdout)
        process.stdout.close()
        child.process, child.unfinished = None, b""
        return process

    def _pass_output(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            self._read(key.data)

    def _read(self, child: Child) -> None:
        if child.process is None or child.process.stdout is None:
            return
        data = child.process.stdout.read(READ_BYTES)
        if data == b"":
            self._listen_no_more(child.process.stdout)
        *lines, child.unfinished = (child.unfinished + (data or b"")).split(b"\n")
        for line in lines:
            self._say(child, line.decode("utf-8", errors="replace").rstrip())

    def _listen_no_more(self, stream: IO[bytes]) -> None:
        """A pipe whose writer is gone is always ready to be read, and would keep the loop busy."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(stream)

    def _say(self, child: Child, line: str) -> None:
        if line:
            print(f"{child.service.name:{self._width}} | {line}", file=self._output, flush=True)

    def _look_whether_ready(self) -> None:
        if self._on_ready is not None and self._answers():
            task, self._on_ready = self._on_ready, None
            threading.Thread(target=self._run_on_ready, args=(task,), name="on-ready", daemon=True).start()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self._address, timeout=1) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _run_on_ready(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException:
            self._status = 1
            self.stop()
            raise

    def _stop_all(self) -> None:
        """SIGTERM to all at once; SIGKILL after the grace, or when asked a second time."""
        asked = self._signals
        for child in self._children:
            if child.process is not None:
                child.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(child.is_running for child in self._children):
            with contextlib.suppress(BrokenPipeError):
                self._pass_output(TICK_SECONDS)
            late = time.monotonic() > deadline or self._signals > asked
            for child in self._children:
                self._end(child, kill=late)
        self._selector.close()

    def _end(self, child: Child, *, kill: bool) -> None:
        process = child.process
        if process is None or (process.poll() is None and not kill):
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._forget(child)
        child.process = None
