"""Real servers for tests: PostgreSQL, Redis and the board itself, on free ports, stopped by their starter."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, require_binary


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)


def port_answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def process(command: list[str], *, log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a session of its own, asked to stop at the end and killed after 20 s if it does not."""
    with log.open("ab") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        yield child
    finally:
        stop(child)


def stop(child: subprocess.Popen[bytes], sign: int = signal.SIGTERM) -> None:
    if child.poll() is None:
        child.send_signal(sign)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis with an append-only file; yields its URL."""
    binary, port = require_binary("redis-server"), free_port()
    with tempfile.TemporaryDirectory(prefix="sparseboard-redis-") as folder:
        command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes"]
        with process(command, log=Path(folder, "log")):
            wait_for(lambda: port_answers(port), seconds=20, what="Redis")
            yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A fresh PostgreSQL; yields the environment that points the board at it.

    PostgreSQL refuses root, so for root it runs as Debian's user `postgres`, in a folder that user owns.
    """
    initdb, server, port = require_binary("initdb"), require_binary("postgres"), free_port()
    folder = Path(tempfile.mkdtemp(prefix="sparseboard-postgres-", dir="/tmp"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    try:
        data = str(folder / "data")
        subprocess.run(
            [initdb, "-D", data, "-U", "sparseboard", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True, capture_output=True, cwd=folder, **as_user,
        )  # fmt: skip
        command = [server, "-D", data, "-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for idle clients.
        with process(
            command, log=Path(tempfile.gettempdir(), f"{folder.name}.log"), cwd=folder, **as_user
        ) as child:
            wait_for(lambda: (folder / f".s.PGSQL.{port}").exists(), seconds=30, what="PostgreSQL")
            yield {
                "SPARSEBOARD_DB_HOST": "127.0.0.1",
                "SPARSEBOARD_DB_PORT": str(port),
                "SPARSEBOARD_DB_NAME": "postgres",
                "SPARSEBOARD_DB_USER": "sparseboard",
                "SPARSEBOARD_SECRET_KEY": "only-for-this-test",
            }
            stop(child, signal.SIGINT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(tempfile.gettempdir(), f"{folder.name}.log").unlink(missing_ok=True)


class Board:
    """The processes docker-compose.yml names, on the database and broker that `environment` gives."""

    def __init__(self, var: Path, environment: Mapping[str, str] | None = None) -> None:
        self.var = var
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SPARSEBOARD_")},
            "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
            "SPARSEBOARD_VAR": str(var),
            "SPARSEBOARD_HOST_LOCKS": str(var),  # another board may run on this machine
            "SPARSEBOARD_BASELINE_CHECK": "0",  # has a test of its own
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }
        self._stack = contextlib.ExitStack()

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def prepare(self) -> None:
        """What an operator does once: database, static files, the built-in dataset and its board."""
        self.manage("migrate", "--noinput")
        self.manage("collectstatic", "--noinput")
        self.manage("add_dataset", "mini")
        self.manage("add_benchmark", "mini", "mini")

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        self.var.mkdir(parents=True, exist_ok=True)
        return self._stack.enter_context(
            process([sys.executable, *command], log=self.log(name), cwd=ROOT, env=self.environment)
        )

    def start_web(self) -> None:
        bind = f"127.0.0.1:{self.port}"
        self.start(
            "web",
            "-m",
            "gunicorn",
            "leaderboard.wsgi",
            "--bind",
            bind,
            "--threads",
            "4",
            "--no-control-socket",
        )
        wait_for(self._answers, seconds=60, what=f"web ({self.log('web')})")

    def start_worker(self, queues: str = "retrieval.cpu,sparsity.cpu") -> subprocess.Popen[bytes]:
        return self.start("worker", "-m", "workers", "--queues", queues)

    def start_reconciler(self) -> subprocess.Popen[bytes]:
        return self.start("reconciler", "manage.py", "reconcile")

    def log(self, name: str) -> Path:
        return self.var / f"{name}.log"

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.var.glob("*.log"))
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
