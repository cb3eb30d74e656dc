"""The life cycle's own tests once more, on PostgreSQL: locks and clocks are the database's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.end_to_end.services import postgres

LIFE_CYCLE = [
    f"tests/leaderboard/submissions/test_{name}.py"
    for name in ("lifecycle", "outbox", "reconciler", "orphans", "submit")
]


@pytest.mark.services
def test_the_life_cycle_holds_on_postgresql(tmp_path: Path) -> None:
    with postgres() as database:
        environment = {**os.environ, **database, "SPARSEBOARD_VAR": str(tmp_path)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *LIFE_CYCLE]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
