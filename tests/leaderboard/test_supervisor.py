"""Starting, restarting and stopping, with small processes in place of the board's."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from django.core.management.base import CommandError

from leaderboard import supervisor
from leaderboard.supervisor import Service, Supervisor
from tests.conftest import ROOT
from tests.leaderboard.test_broker import free_port

SLEEPER = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
PARENT = (
    f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); time.sleep(TIME)"
)


def python(name: str, code: str) -> Service:
    return Service(name, [sys.executable, "-c", code])


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def all_dead(pids: list[int]) -> bool:
    """At once, or in the moment that the kernel takes to end them."""
    deadline = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, pids))


class Watched(io.StringIO):
    """What the supervisor prints, and a supervisor that stops once a condition on it holds."""

    def run(self, *services: Service, until, seconds: float = 15, **options) -> int:
        board = Supervisor(services, output=self, **options)

        def stop_when_seen() -> None:
            deadline = time.monotonic() + seconds
            while not until(self.getvalue()) and time.monotonic() < deadline:
                time.sleep(0.02)
            board.stop()

        watcher = threading.Thread(target=stop_when_seen)
        watcher.start()
        try:
            return board.run()
        finally:
            watcher.join()

    def pids(self) -> list[int]:
        return [int(number) for number in re.findall(r"pid (\d+)", self.getvalue())]


@pytest.fixture
def output() -> Watched:
    return Watched()


def test_every_line_says_whose_it_is(output):
    output.run(
        python("web", "print('one'); print('two')"),
        python("reconciler", SLEEPER),
        until=lambda s: "two" in s and "pid" in s,
    )
    lines = output.getvalue().splitlines()
    assert "web        | one" in lines
    assert "web        | two" in lines
    assert any(re.fullmatch(r"reconciler \| pid \d+", line) for line in lines)


def test_stopping_leaves_nothing_running(output):
    parent = python("b", PARENT.replace("TIME", "60"))
    assert output.run(python("a", SLEEPER), parent, until=lambda s: s.count("pid") == 2) == 0
    assert len(output.pids()) == 2
    assert all_dead(output.pids())


def test_what_hears_no_sigterm_is_killed_after_the_grace(output, monkeypatch):
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.5)
    started = time.monotonic()
    output.run(python("a", STUBBORN), until=lambda s: "pid" in s)
    assert time.monotonic() - started < 5
    assert not alive(output.pids()[0])


def test_what_dies_is_started_again_with_growing_pauses(output, monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.1)
    dying = python("web", "import sys; print('started'); sys.exit(3)")
    child = supervisor.Child(dying, pause=0.1)
    monkeypatch.setattr(supervisor, "Child", lambda service: child)
    output.run(dying, until=lambda s: s.count("started") == 3)
    said = [line for line in output.getvalue().splitlines() if "ended" in line]
    assert said[:2] == [
        "web | ended with status 3; starts again in 0.1 s",
        "web | ended with status 3; starts again in 0.2 s",
    ]


def test_what_a_dead_process_left_behind_is_ended_before_it_starts_again(output):
    output.run(python("a", PARENT.replace("TIME", "1")), until=lambda s: "ended" in s)
    assert output.pids()
    assert all_dead(output.pids())


SERVER = (
    "import http.server, sys\n"
    "class Answer(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers()\n"
    "    def log_message(self, *_): pass\n"
    "http.server.HTTPServer(('127.0.0.1', {port}), Answer).serve_forever()"
)


def test_on_ready_is_called_once_when_the_address_answers(output):
    port, calls = free_port(), []
    output.run(
        python("web", SERVER.format(port=port)),
        address=f"http://127.0.0.1:{port}/healthz",
        on_ready=lambda: calls.append("ready"),
        until=lambda _: calls,
    )
    assert calls == ["ready"]


def test_an_on_ready_that_fails_ends_everything_with_status_one(output, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fail() -> None:
        raise RuntimeError

    port = free_port()
    web = python("web", SERVER.format(port=port))
    board = Supervisor([web], address=f"http://127.0.0.1:{port}/", on_ready=fail, output=output)
    assert board.run() == 1


BOARD = """
import django, sys; django.setup()
from leaderboard.supervisor import Service, Supervisor
sleeper = [sys.executable, "-c", "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"]
sys.exit(Supervisor([Service("a", sleeper), Service("b", sleeper)]).run())
"""


@pytest.fixture
def board():
    """A supervisor in a process of its own, with the pids of its two children."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", BOARD], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pids = [int(process.stdout.readline().rpartition(" ")[2]) for _ in range(2)]
    yield process, pids
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_within_seconds(board, number):
    process, pids = board
    process.send_signal(number)
    assert process.wait(5) == 0
    assert not any(map(alive, pids))


def test_the_children_end_when_the_supervisor_is_killed(board):
    process, pids = board
    process.kill()
    process.wait()
    assert all_dead(pids)


def test_a_port_that_is_taken_is_said_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} of this machine is taken"):
            supervisor.prepare(port)


def test_the_services_are_web_two_workers_and_the_reconciler(monkeypatch):
    monkeypatch.setattr(supervisor, "has_gpu", lambda: False)
    found = {service.name: service.command for service in supervisor.services(8123)}
    assert set(found) == {"web", "worker", "latency-worker", "reconciler"}
    assert "127.0.0.1:8123" in found["web"]
    assert found["worker"][-1] == "retrieval.cpu,sparsity.cpu"
    assert found["latency-worker"][-1] == "latency.cpu"


def test_a_gpu_gets_a_worker_of_its_own(monkeypatch):
    monkeypatch.setattr(supervisor, "has_gpu", lambda: True)
    found = {service.name: service.command[-1] for service in supervisor.services(8123)}
    assert found["gpu-worker"] == "retrieval.gpu,sparsity.gpu"
    assert found["latency-worker"] == "latency.cpu,latency.gpu"  # one of a host, whatever it measures


def test_a_machine_without_a_driver_is_never_asked_for_its_gpu(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("torch was started"))
    assert not supervisor.has_gpu()
