"""The web process never imports torch, which costs seconds a start and memory for each process."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

# Runs in a fresh process on a database of its own; `{system}` in an address stands for the id of a row.
SCRIPT = """
import sys
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
from tests.factories import make_benchmark, make_dataset, make_revision, make_system, make_user
from tests.leaderboard.boards.helpers import put_on_board

alice = make_user("alice")
benchmark = make_benchmark("two", [make_dataset("one"), make_dataset("other")])
system = make_system(alice, name="A")
entry = put_on_board(benchmark, {"one": 0.5, "other": 0.5}, revision=make_revision(system))
names = {"system": system.pk, "submission": entry.submission_id}
client = Client(SERVER_NAME="localhost")
client.force_login(alice)
for address in sys.argv[1:]:
    response = client.get(address.format(**names))
    assert response.status_code == 200, (address, response.status_code)
    b"".join(response) if response.streaming else response.content
heavy = {"torch", "transformers", "sentence_transformers", "workers"} & set(sys.modules)
assert not heavy, heavy
"""

ADDRESSES = [
    "/",
    "/leaderboards/two/",
    "/leaderboards/two/board.csv",
    "/leaderboards/two/chart.json",
    "/systems/{system}/",
    "/datasets/",
    "/datasets/one/",
    "/method/",
]


def test_no_page_imports_torch_or_the_workers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *ADDRESSES],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": str(ROOT),
            "SPARSEBOARD_VAR": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
