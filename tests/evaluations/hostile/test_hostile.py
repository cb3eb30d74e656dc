"""Hostile models, archives and vectors: each is refused by its code, alone in a process, without a trace."""

import json
import pickle
import subprocess
import sys

import pytest

from evaluations import archives
from evaluations.systems.safety import check_folder
from tests.conftest import ROOT
from tests.evaluations.hostile import forging
from tests.evaluations.hostile.cases import CASES, pickled
from tests.evaluations.hostile.child import SPARE_BYTES

PROCESSES = 2


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each case, by its name."""
    folder = tmp_path_factory.mktemp("hostile")
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.evaluations.hostile.child", folder, str(first), str(PROCESSES)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(PROCESSES)
    ]
    lines = [line for process in started for line in process.communicate(timeout=120)[0].splitlines()]
    assert not [path for path in folder.parent.iterdir() if path.name == "outside"]
    return {found["case"]: found for found in map(json.loads, lines)}


def test_there_are_at_least_sixty_cases_each_with_its_own_name():
    assert len({case.name for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_and_leaves_no_trace(outcomes, case):
    assert case.name in outcomes, "its process died: it took more memory than it may"
    found = outcomes[case.name]
    assert case.code in found["refused"].partition("]")[0], found["refused"]
    assert found["left"] == []
    assert found["changed"] == []
    assert not found["ran"]
    assert found["rose"] <= found["size"] + SPARE_BYTES


def test_the_canaries_would_sing(tmp_path):
    pickle.loads(pickled(tmp_path / "one"))
    exec(forging.python(tmp_path / "two"))
    assert (tmp_path / "one").exists()
    assert (tmp_path / "two").exists()


def test_the_right_ones_are_taken(tmp_path):
    """So that no case is refused for another reason than its own."""
    for number, content in enumerate(
        (
            forging.zipped(forging.MODEL),
            forging.zipped({f"top/{name}": raw for name, raw in forging.MODEL.items()}),
            forging.tarred(forging.MODEL),
            forging.gzipped(forging.tarred({f"./{name}": raw for name, raw in forging.MODEL.items()})),
        )
    ):
        sent, folder = tmp_path / f"{number}.archive", tmp_path / str(number)
        sent.write_bytes(content)
        archives.unpack(sent, folder, archives.MODEL)
        check_folder(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == forging.MODEL
