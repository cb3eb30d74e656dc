"""Effectiveness of 10,000 rankings of 1000 documents, and reading a run, against ir-measures and ranx."""

import statistics
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.alternation import Contender, Duel, contender, duel
from tests.benchmarks.framework import Bench, Section, Size, Table, Target
from tests.benchmarks.metrics_engines import DEPTH, write_run

ENGINES = "tests.benchmarks.metrics_engines"
COLUMNS = (
    "engine", "threads", "first run s", "s", "processor s", "times ours", "processor times ours", "peak MB",
)  # fmt: skip
PACKAGES = ("numpy", "ir-measures", "pytrec-eval-terrier", "ranx", "numba")
QUERIES, READ_QUERIES = 10_000, 1000
SCORING = {
    "ir-measures: iter_calc over dicts": "IrMeasures",
    "ranx: Run and Qrels of dicts, evaluate (without Judged@10)": "Ranx",
}
READING = {
    "ir-measures: read_trec_run, into dicts": "IrMeasuresReading",
    "pytrec_eval: parse_run": "PytrecEvalReading",
    "ranx: Run.from_file, not packed": "RanxReading",
}


def run(size: Size) -> Section:
    queries, read = (200, 100) if size.quick else (QUERIES, READ_QUERIES)
    title = f"Seven measures of {queries:,} queries, {DEPTH} results each"
    scoring, duels, largest = _measure(title, "Ours", SCORING, (queries,), size.rounds)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "run.trec.gz"
        write_run(path, read)
        title = f"Reading a gzipped run of {read * DEPTH:,} lines"
        reading, _, _ = _measure(title, "OursReading", READING, (path, read), size.rounds)
    return Section(
        title="Metrics",
        intro=_intro(),
        tables=(scoring, reading),
        targets=(_target(duels, queries),),
        notes=tuple(_notes(largest)),
        versions={name: version(name) for name in PACKAGES},
    )


def _measure(
    title: str, own: str, peers: dict[str, str], arguments: tuple[Any, ...], rounds: int
) -> tuple[Table, dict[str, Duel], float]:
    """The table, each peer's duel, and the largest difference between a mean of ours and a peer's."""
    rows, duels, largest = [], {}, 0.0
    with contender(f"{ENGINES}:{own}", *arguments) as ours:
        first = ours.turn().wall_s
        for name, peer in peers.items():
            with contender(f"{ENGINES}:{peer}", *arguments) as theirs:
                their_first = theirs.turn().wall_s
                duels[name] = duel(ours, theirs, rounds)
                rows.append(_row(name, theirs, their_first, duels[name]))
                largest = max(largest, _difference(ours.result(), theirs.result()))
        turns = tuple(turn for each in duels.values() for turn in each.ours)
        rows.insert(0, _row("**ours**", ours, first, Duel(turns, turns)))
    return Table(title, COLUMNS, tuple(rows)), duels, largest


def _row(title: str, engine: Contender, first: float, result: Duel) -> tuple[str, ...]:
    return (
        title, str(engine.facts.threads), f"{first:.2f}",
        f"{statistics.median(turn.wall_s for turn in result.theirs):.2f}",
        f"{statistics.median(turn.cpu_s for turn in result.theirs):.2f}",
        f"{result.ratio:.2f}", f"{_processor_ratio(result):.2f}", f"{engine.peak_bytes() / 1e6:,.0f}",
    )  # fmt: skip


def _processor_ratio(result: Duel) -> float:
    pairs = zip(result.ours, result.theirs, strict=True)
    return statistics.median(theirs.cpu_s / ours.cpu_s for ours, theirs in pairs)


def _difference(ours: dict[str, float], theirs: dict[str, float]) -> float:
    return max(abs(ours[name] - value) for name, value in theirs.items())


def _target(duels: dict[str, Duel], queries: int) -> Target:
    wall = min(each.ratio for each in duels.values())
    processor = min(map(_processor_ratio, duels.values()))
    return Target(
        f"the faster peer's time over ours, {queries:,} queries", "at least 1",
        f"{wall:.1f} (processor time {processor:.1f})", wall >= 1,
    )  # fmt: skip


def _intro() -> str:
    return (
        "Seeded rankings of a corpus of 1,000,000, 20 judgements a query, 15 of them found. Each engine "
        "begins with the rankings as its users have them, ours in lists and arrays, the peers in dicts, and "
        "ends with the means. `first run` is that of a new process: ranx compiles in it. `processor` adds up "
        "all threads and hardly notices other work on the machine; `times ours` is the median over the "
        "rounds of a peer's time over ours in the same round. MB are 10^6 bytes, the rankings included."
    )


def _notes(largest: float) -> Iterator[str]:
    yield f"The means of all engines differ by at most {largest:.0e}."
    yield (
        "Nearly all of our time looks documents up among a query's judgements; the measures take the few "
        "that are judged."
    )
    yield (
        "Our reader checks every column, refuses what occurs twice and sorts what is out of order; the "
        "peers' take lines as they come."
    )


BENCH = Bench("metrics", run)
