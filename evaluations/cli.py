"""The command line.

Exit status 0; 2 for wrong input, with one line on standard error; 3 when the evaluation itself failed.
"""

import argparse
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from evaluations import commands
from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.pipeline import BUILT_TRACKS
from evaluations.systems.base import CACHE_BYTES
from evaluations.systems.devices import PRECISIONS

WRONG_INPUT = 2
FAILED = 3
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser().parse_args(given)
        options.recipe = shlex.join(["python", "-m", "evaluations", *given])
        options.run(options)
        sys.stdout.flush()
    except EvaluationError as error:
        print(error, file=sys.stderr)
        return FAILED if isinstance(error, EvaluationFailed) else WRONG_INPUT
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (MemoryError, OSError) as error:  # the machine's limits: no fault of what was submitted
        traceback.print_exc()
        print(EvaluationFailed("EVALUATION-FAILED", f"{type(error).__name__}: {error}"), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


class _Parser(argparse.ArgumentParser):
    """Wrong usage is wrong input like any other: one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise EvaluationError("USAGE", f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m evaluations", description="Measure retrieval systems: one command a result."
    )
    add = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser).add_parser
    _add_evaluate(add("evaluate", help="measure a system and score its run"))
    _add_measure(add("measure", help="run a system; its dataset needs no qrels"))
    _add_score(add("score", help="score the run that measure wrote"))
    add("sweeps", help="list the sweeps, their variants and values").set_defaults(run=commands.sweeps)
    add("datasets", help="list the registered datasets and benchmarks").set_defaults(run=commands.datasets)
    _add_inspect(
        add("inspect", help="what a folder, an archive, a hub id or a system is, and whether it is safe")
    )
    _add_compare(add("compare", help="the differences of two reports"))
    _add_host(add("host", help="this machine's profile, and what the latency track's references take on it"))
    return parser


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    _add_measure(parser)
    _add_metrics(parser)
    parser.set_defaults(run=commands.evaluate)


def _add_measure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--system", required=True, help="bm25, KIND:LOCATION[@REVISION], or a .toml or .json file with more"
    )
    _add_option(parser)
    _add_members(parser)
    _add_dataset(parser)
    parser.add_argument(
        "--tracks", default=",".join(BUILT_TRACKS), metavar="LIST", help="default: %(default)s"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "fp16", "auto"),
        help="as --option precision=...; auto is resolved to one",
    )
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="for the model (default: the cores it may use)"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep vectors here, and find those of earlier evaluations"
    )
    parser.add_argument(
        "--cache-mb",
        type=_positive,
        default=CACHE_BYTES >> 20,
        metavar="N",
        help="at most (default: %(default)s)",
    )
    parser.add_argument(
        "--query-threads", type=_positive, default=1, metavar="N",
        help="of one query in the latency track (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE",
        help="what the latency track's references take on this host when it is well; host --write makes one",
    )  # fmt: skip
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="NAME[:VARIANT][=VALUES]",
        help="a curve of operating points, such as weights=10,50 or vector-bits; may be repeated",
    )
    parser.add_argument(
        "--checkpoint", action="append", default=[], metavar="NAME=PLACE",
        help="what a value of the sweep soup means by NAME: a hub id, ORG/NAME@REVISION, or a folder; a name"
        " without one is such a place itself. May be repeated",
    )  # fmt: skip
    parser.set_defaults(run=commands.measure)


def _add_score(parser: argparse.ArgumentParser) -> None:
    _add_dataset(parser)
    _add_metrics(parser)
    parser.set_defaults(run=commands.score)


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "system",
        metavar="LOCATION",
        help="a folder, an archive, a run file or a hub id; or a system as --system takes it",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    _add_option(parser)
    _add_members(parser)
    parser.set_defaults(run=commands.inspect)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reports", nargs=2, type=Path, metavar="REPORT", help="report.json or its folder")
    parser.set_defaults(run=commands.compare)


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", type=Path, metavar="FILE", help="store it as this host's baseline")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--precision", type=_precisions, default=("fp32",), metavar="LIST",
        help="of the encoder: fp32 (the default), bf16, fp16, several with commas; none: leave it out",
    )  # fmt: skip
    parser.add_argument("--query-threads", type=_positive, default=1, metavar="N")
    parser.set_defaults(run=commands.host)


def _add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="sets one of its options"
    )


def _add_members(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--first-stage", action="append", default=[], dest="members", metavar="SYSTEM",
        help="whose first documents a reranker reads: a system as --system takes it",
    )  # fmt: skip
    parser.add_argument(
        "--member", action="append", default=[], dest="members", metavar="SYSTEM",
        help="one of those that a fusion is made of; repeat it for each",
    )  # fmt: skip


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dataset", required=True, help="a BEIR folder or a registered name: mini, beir/scifact"
    )
    parser.add_argument("--split", help="of the qrels (default: what the dataset declares, else test)")
    parser.add_argument(
        "--self-hits",
        choices=("keep", "remove"),
        help="documents with their query's id (default: the dataset's rule)",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for report and artefacts"
    )
    parser.add_argument("--json-progress", action="store_true", help="JSON lines on standard output")


def _add_metrics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metrics", default="", metavar="LIST", help="beside the default ones: nDCG@20,AP")


def _precisions(text: str) -> tuple[str, ...]:
    found = () if text == "none" else tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in found if name not in PRECISIONS]
    if unknown:
        known = ", ".join(PRECISIONS)
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no precision; give some of {known}, or none")
    return found


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
