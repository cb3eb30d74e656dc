"""Runs cases, each in a process of its own: `python -m tests.evaluations.hostile.child FOLDER FIRST STEP`.

Writes a line of JSON for each: its refusal, how far its memory rose, and whether anything else was touched.
"""

import json
import os
import resource
import stat
import sys
from pathlib import Path

from evaluations import archives
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.systems.safety import check_folder
from evaluations.systems.vectors import Vectors
from tests.evaluations.hostile.cases import CASES, Case

SPARE_BYTES = 256 * 2**20


def check(how: str, sent: Path, place: Path) -> None:
    """What the board does with it."""
    if how == "archive":
        with archives.unpacked(sent, archives.MODEL, beside=place) as folder:
            check("folder", folder, place)
    elif how == "vectors-archive":
        with archives.unpacked(sent, archives.VECTORS, beside=place) as folder:
            check("vectors", folder, place)
    elif how == "folder":
        check_folder(sent)
    else:
        system = Vectors(sent)
        system.index(None, Progress())
        system.retrieve({"q1": "text"}, 10, Progress())


def run(case: Case, folder: Path) -> dict[str, object]:
    folder.mkdir()
    canary = folder / "canary"
    made = os.fork()
    if not made:  # its maker holds bombs in memory
        case.make(folder, canary)
        os._exit(0)
    assert os.waitpid(made, 0)[1] == 0
    sent = folder / next(iter(os.listdir(folder)))
    size = sum(path.lstat().st_size for path in (sent, *sent.rglob("*")))
    before = contents(folder)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    start = memory("VmRSS")
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + size + SPARE_BYTES,) * 2)
    refused = refusal(case, sent, folder)
    after = contents(folder)
    return {
        "refused": refused,
        "left": sorted(set(after) - set(before)),
        "changed": sorted(name for name in before if after.get(name) != before[name]),
        "ran": canary.exists(),
        "rose": memory("VmHWM") - start,
        "size": size,
    }


def refusal(case: Case, sent: Path, folder: Path) -> str:
    try:
        check(case.how, sent, folder)
    except EvaluationError as error:
        return str(error)
    return ""


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything in the case's folder, with size and, of files, time of change."""
    states = {path.relative_to(folder).as_posix(): path.lstat() for path in folder.rglob("*")}
    return {
        name: (0, 0) if stat.S_ISDIR(state.st_mode) else (state.st_size, state.st_mtime_ns)
        for name, state in states.items()
    }


def memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def main(root: Path, first: int, step: int) -> None:
    for number in range(first, len(CASES), step):
        sys.stdout.flush()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        found = {"case": CASES[number].name, **run(CASES[number], root / str(number))}
        print(json.dumps(found), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
