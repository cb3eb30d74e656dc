"""One process of the evaluator: what it may see, how it ends, and what people are told."""

import json
import mmap
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest

from evaluations.errors import EvaluationError, EvaluationFailed
from tests.conftest import ROOT
from workers import evaluator
from workers.evaluator import Limits
from workers.sandbox import Step


@dataclass
class Notes:
    """Writes down what it is told; `check` raises what `stop` holds once something was said."""

    stages: list[tuple[str, float | None]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stop: Exception | None = None

    def check(self) -> None:
        if self.stop and self.pids():
            raise self.stop

    def progress(self, stage: str, share: float | None) -> None:
        self.stages.append((stage, share))

    def note(self, line: str) -> None:
        self.lines.append(line)

    def pids(self) -> list[int]:
        return [int(line.removeprefix("pid ")) for line in self.lines if line.startswith("pid ")]


class StoppedError(Exception):
    pass


@pytest.fixture
def notes() -> Notes:
    return Notes()


def measure(
    folder: Path, behave: str, notes: Notes, *, seconds: float = 20, mebibytes: int = 4096, **step
) -> None:
    system = folder / "system.json"
    system.write_text(json.dumps({"kind": "bm25", "options": {"behave": behave}}))
    data = folder / "data"
    data.mkdir(exist_ok=True)
    arguments = ["measure", "--system", str(system), "--dataset", str(data), "--out", str(folder / "out")]
    limits = Limits(time.monotonic() + seconds, mebibytes * 2**20)
    evaluator.run(Step("measure", ["tests.workers.stand_in", *arguments], **step), folder, notes, limits)


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until_dead(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_alive(pid)


def test_wrong_input_is_the_submitters_with_its_code_and_without_our_folders(tmp_path, notes):
    with pytest.raises(EvaluationError) as raised:
        measure(tmp_path, f"wrong:{tmp_path}/model/config.json: is not JSON", notes)
    assert not isinstance(raised.value, EvaluationFailed)
    assert (raised.value.code, raised.value.message) == ("MODEL-CONFIG", "model/config.json: is not JSON")


def test_a_failure_of_the_evaluator_is_ours_and_its_traceback_only_in_our_log(tmp_path, notes, caplog):
    with pytest.raises(EvaluationFailed) as raised:
        measure(tmp_path, "fail:the device went away", notes)
    assert raised.value.code == "DEVICE-LOST"
    assert "the device went away" in raised.value.message
    assert "Traceback" in caplog.text
    assert not [line for line in notes.lines if "Traceback" in line or "here" in line]


def test_a_crash_says_at_which_stage_and_shows_no_traceback(tmp_path, notes, caplog):
    with pytest.raises(EvaluationFailed) as raised:
        measure(tmp_path, "crash", notes)
    assert raised.value.code == "EVALUATOR-CRASHED"
    assert "with status 1 while searching" in raised.value.message
    assert "/srv/board" in caplog.text
    assert "/srv/board" not in raised.value.message + "".join(notes.lines)
    assert "a line before" in notes.lines


def test_a_fault_in_native_code_ends_the_step_and_names_the_signal(tmp_path, notes):
    with pytest.raises(EvaluationFailed, match=r"signal 11 \(SIGSEGV\) while encoding") as raised:
        measure(tmp_path, "die:11", notes)
    assert raised.value.code == "EVALUATOR-CRASHED"


def test_a_kill_by_the_system_is_reported_as_a_lack_of_memory(tmp_path, notes):
    with pytest.raises(EvaluationFailed, match="ran out of memory") as raised:
        measure(tmp_path, "die:9", notes)
    assert raised.value.code == "OUT-OF-MEMORY"


def test_status_two_without_an_error_line_is_a_crash_of_ours(tmp_path, notes):
    with pytest.raises(EvaluationFailed) as raised:
        measure(tmp_path, "leave:2", notes)
    assert raised.value.code == "EVALUATOR-CRASHED"


def test_memory_is_bounded(tmp_path, notes):
    with pytest.raises(EvaluationFailed, match=r"board allows 0\.2 GiB") as raised:
        measure(tmp_path, "grow:400", notes, mebibytes=200)
    assert raised.value.code == "MEMORY-LIMIT"


def test_a_file_that_is_mapped_is_no_memory_of_the_process():
    path = max(Path(np.__file__).parents[1].glob("numpy.libs/*"), key=lambda each: each.stat().st_size)
    process, size = psutil.Process(), path.stat().st_size
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        before, resident = evaluator.resident_bytes(os.getpid()), process.memory_info().rss
        assert sum(content[:: mmap.PAGESIZE]) > 0
        counted = evaluator.resident_bytes(os.getpid()) - before
        assert process.memory_info().rss - resident > 0.9 * size > 5e6
    assert counted < 0.1 * size


def test_time_is_bounded_even_for_a_process_that_hears_no_signal(tmp_path, notes):
    started = time.monotonic()
    with pytest.raises(EvaluationFailed) as raised:
        measure(tmp_path, "stop", notes, seconds=1)
    assert raised.value.code == "TIME-LIMIT"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("behave", ["hang", "spawn"])
def test_a_watcher_that_says_stop_ends_the_process_and_what_it_started(tmp_path, notes, behave):
    notes.stop = StoppedError()
    with pytest.raises(StoppedError):
        measure(tmp_path, behave, notes)
    (pid,) = notes.pids()
    assert wait_until_dead(pid)


def test_nothing_outlives_a_step_that_ended_well(tmp_path, notes):
    measure(tmp_path, "spawn-and-leave", notes)
    (pid,) = notes.pids()
    assert wait_until_dead(pid)


def test_endless_lines_and_foreign_bytes_are_cut_to_notes(tmp_path, notes):
    measure(tmp_path, "shout", notes)
    assert max(map(len, notes.lines)) <= 8192
    assert "[1]" in notes.lines
    assert {stage for stage, _ in notes.stages} <= {"loading"}


def test_a_model_sees_no_secrets_and_no_network_and_gains_no_rights(tmp_path, notes, monkeypatch):
    monkeypatch.setenv("SPARSEBOARD_SECRET_KEY", "hidden")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("HF_TOKEN", "hidden")
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "port").write_text(str(server.getsockname()[1]))
        measure(tmp_path, "look", notes)
    seen = json.loads((tmp_path / "out" / "seen.json").read_text())
    assert not {"SPARSEBOARD_SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"} & set(seen["variables"])
    assert {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} <= set(seen["variables"])
    assert (seen["folder"], seen["home"]) == (str(tmp_path), str(tmp_path))
    assert seen["gains rights"] is False
    isolation = [line for line in notes.lines if "network" in line]
    assert len(isolation) == 1
    assert seen["network"] is not isolation[0].startswith("no network")


def test_a_step_with_a_network_reaches_it(tmp_path, notes):
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "port").write_text(str(server.getsockname()[1]))
        measure(tmp_path, "look", notes, network=True)
    seen = json.loads((tmp_path / "out" / "seen.json").read_text())
    assert seen["network"] is True
    assert "HF_HUB_OFFLINE" not in seen["variables"]


def test_the_stage_of_a_step_replaces_the_ones_it_names(tmp_path, notes):
    notes.stop = StoppedError()
    with pytest.raises(StoppedError):
        measure(tmp_path, "hang", notes, stage="scoring")
    assert set(notes.stages) == {("scoring", None), ("scoring", 0.61)}


def test_the_evaluator_dies_with_its_worker(tmp_path):
    """The worker is killed in a way that lets it do nothing more."""
    (tmp_path / "data").mkdir()
    (tmp_path / "system.json").write_text(json.dumps({"kind": "bm25", "options": {"behave": "hang"}}))
    code = f"""
import os, django; django.setup()
from pathlib import Path
from tests.workers.test_evaluator import Notes, measure
class Loud(Notes):
    def note(self, line): print(line, flush=True)
measure(Path({str(tmp_path)!r}), "hang", Loud())
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    worker = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )
    assert worker.stdout is not None
    pid = next(int(line.removeprefix("pid ")) for line in worker.stdout if line.startswith("pid "))
    assert is_alive(pid)
    worker.kill()
    worker.wait()
    assert wait_until_dead(pid)
