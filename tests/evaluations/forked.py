"""`python -m evaluations` without the seconds of its start: every command is a process of its own, forked.

The process that forks, `python -m tests.evaluations.forked`, has imported the command line and has run
nothing. It reads a command a line and answers with its exit status.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.conftest import ROOT

HEAVY = (
    "numba", "scipy.sparse", "ir_measures", "pytrec_eval", "pyarrow.parquet", "bm25s", "Stemmer",
    "evaluations.pipeline", "evaluations.search.sparse", "evaluations.systems.bm25",
)  # fmt: skip


class Commands:
    """`run(*arguments)`, as `subprocess.run` of the command line would answer."""

    def __init__(self, server: "subprocess.Popen[str]", folder: Path) -> None:
        self._server, self._folder = server, folder

    def __call__(self, *arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
        given = [str(each) for each in arguments]
        self._server.stdin.write(json.dumps([given, variables]) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        shown = [(self._folder / name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(given, status, *shown)


@contextlib.contextmanager
def commands(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Commands]:
    """`folder`: where commands write what they say. `environment`: this process's where not given."""
    command = [sys.executable, "-m", "tests.evaluations.forked", str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:  # fmt: skip
        yield Commands(server, folder)
        server.stdin.close()


def serve(folder: Path) -> None:
    from importlib import import_module

    from evaluations import cli

    for name in HEAVY:
        import_module(name)
    assert not {"huggingface_hub", "torch"} & set(sys.modules)  # the hub's client reads variables on import
    for line in sys.stdin:
        child = os.fork()
        if not child:
            arguments, variables = json.loads(line)
            turn_outputs_to(folder)
            os.environ.update(variables)
            sys.exit(cli.main(arguments))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def turn_outputs_to(folder: Path) -> None:
    for descriptor, name in ((0, os.devnull), (1, folder / "stdout"), (2, folder / "stderr")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
