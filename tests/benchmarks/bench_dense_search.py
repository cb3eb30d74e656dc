"""Exact dense search over 1,000,000 vectors of 384 dimensions against the libraries people use for it."""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tests.benchmarks import dense_engines
from tests.benchmarks.alternation import Contender, Duel, contender, duel
from tests.benchmarks.framework import Bench, Section, Size, Table, Target

ENGINES = "tests.benchmarks.dense_engines"
COLUMNS = (
    "engine", "threads", "s", "processor s", "times ours", "processor times ours", "same first k", "peak MB",
)  # fmt: skip
PACKAGES = ("numpy", "numba", "torch", "faiss-cpu")
DOCUMENTS, FEW = 1_000_000, 100_000
ALL = ("FaissBlas", "Numpy", "Torch", "OursMapped")
TITLES = {
    "Faiss": "faiss flat",
    "FaissBlas": "faiss flat, by BLAS whatever the number of queries",
    "Numpy": "numpy: matmul, argpartition",
    "Torch": "torch: matmul, topk",
    "OursMapped": "ours, documents mapped from a file",
}


@dataclass(frozen=True)
class Case:
    documents: int
    queries: int
    k: int
    peers: tuple[str, ...] = ("Faiss",)

    def __str__(self) -> str:
        return f"{self.documents:,} documents, {self.queries} queries, k = {self.k}"


CASES = (
    Case(FEW, 100, 100),
    Case(DOCUMENTS, 100, 10),
    Case(DOCUMENTS, 100, 100, ("Faiss", *ALL)),
    Case(DOCUMENTS, 100, 1000),
    Case(DOCUMENTS, 500, 1000),
)


@dataclass(frozen=True)
class Measured:
    case: Case
    table: Table
    faiss: Duel
    processor_s: float
    peak_bytes: int
    index_bytes: int
    products_share: float


def run(size: Size) -> Section:
    cases = (Case(20_000, 100, 100, ("Faiss", *ALL)),) if size.quick else CASES
    measured = [_measure(case, size.rounds) for case in cases]
    return Section(
        title="Exact dense search",
        intro=_intro(),
        tables=tuple(each.table for each in measured),
        targets=(*(target for each in measured for target in _targets(each)), *_linear(measured)),
        notes=tuple(_notes(measured)),
        versions={name: version(name) for name in PACKAGES},
    )


def _measure(case: Case, rounds: int) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dense_engines.write(folder, case.documents)
        with contender(f"{ENGINES}:Ours", folder, case.queries, case.k) as ours:
            return _measure_against(ours, folder, case, rounds)


def _measure_against(ours: Contender, folder: Path, case: Case, rounds: int) -> Measured:
    ours.turn()
    exact, peak = ours.result(), ours.peak_bytes()
    rows, duels = [], {}
    for peer in case.peers:
        with contender(f"{ENGINES}:{peer}", folder, case.queries, case.k) as theirs:
            duels[peer] = duel(ours, theirs, rounds)
            rows.append(_row(TITLES[peer], theirs, duels[peer], _same(exact, theirs.result())))
    turns = tuple(turn for each in duels.values() for turn in each.ours)
    rows.insert(0, _row("**ours**", ours, Duel(turns, turns), 1.0))
    profile = ours.profile()
    return Measured(
        case, Table(str(case), COLUMNS, tuple(rows)), duels["Faiss"],
        statistics.median(turn.cpu_s for turn in turns), peak, ours.facts.index_bytes,
        profile["products_s"] / profile["all_s"],
    )  # fmt: skip


def _row(title: str, engine: Contender, result: Duel, same: float) -> tuple[str, ...]:
    return (
        title, str(engine.facts.threads),
        f"{statistics.median(turn.wall_s for turn in result.theirs):.2f}",
        f"{statistics.median(turn.cpu_s for turn in result.theirs):.2f}",
        f"{result.ratio:.2f}", f"{_processor_ratio(result):.2f}", f"{same:.4f}",
        f"{engine.peak_bytes() / 1e6:,.0f}",
    )  # fmt: skip


def _processor_ratio(result: Duel) -> float:
    pairs = zip(result.ours, result.theirs, strict=True)
    return statistics.median(theirs.cpu_s / ours.cpu_s for ours, theirs in pairs)


def _same(exact: list, found: list) -> float:
    """Share of the exact first k that a peer has too: float32 sums differ at near ties."""
    shares = [len(np.intersect1d(truth, rows)) / len(truth) for truth, rows in zip(exact, found, strict=True)]
    return float(np.mean(shares))


def _targets(measured: Measured) -> Iterator[Target]:
    wall, processor = measured.faiss.ratio, _processor_ratio(measured.faiss)
    shown = f"{wall:.2f} (processor time {processor:.2f})"
    yield Target(f"faiss flat's time over ours, {measured.case}", "at least 1", shown, wall >= 1)
    limit = 1.3 * measured.index_bytes + 512e6
    yield Target(
        f"peak memory, {measured.case}", f"at most {limit / 1e6:,.0f} MB",
        f"{measured.peak_bytes / 1e6:,.0f} MB", measured.peak_bytes <= limit,
    )  # fmt: skip


def _linear(measured: list[Measured]) -> Iterator[Target]:
    """Ten times the documents may cost ten times as much, and what noise adds."""
    by_case = {(each.case.documents, each.case.queries, each.case.k): each for each in measured}
    for (documents, *rest), small in by_case.items():
        large = by_case.get((DOCUMENTS, *rest))
        if documents == FEW and large:
            ratio = large.processor_s / small.processor_s
            name = f"our processor time at {DOCUMENTS:,} over that at {FEW:,} documents"
            yield Target(name, "at most 12", f"{ratio:.1f}", ratio <= 12)


def _intro() -> str:
    return (
        f"Seeded vectors of {dense_engines.DIMENSIONS} dimensions and length one, queries in one batch. Each "
        "engine has a process of its own and takes turns with ours; `times ours` is the median over the "
        "rounds of its time over ours in the same round, by the clock and by all threads' processor time, "
        "which hardly notices other work on the machine. `same first k` is its recall@k against the exact "
        "result. MB are 10^6 bytes; the peak is that of the engine's process, with libraries and building."
    )


def _notes(measured: list[Measured]) -> Iterator[str]:
    for each in measured:
        yield (
            f"{each.case}: BLAS' products take {each.products_share:.0%} of our processor time; the rest "
            "finds candidates and computes them again in float64."
        )
    yield "We rescore in float64 and let ids decide ties; the peers keep float32 sums and any order of ties."
    yield (
        "faiss chooses its own loops or BLAS by the size of the batch (`distance_compute_blas_threshold`); "
        "500 queries of 384 dimensions are enough for BLAS."
    )
    yield "A file that is mapped counts as its process' memory while it is read; the system may take it back."


BENCH = Bench("dense-search", run)
