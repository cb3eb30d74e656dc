"""Exact sparse search at 100,000 and 1,000,000 documents against the libraries that people use for it."""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tests.benchmarks import sparse_corpus as corpus
from tests.benchmarks.alternation import Contender, Duel, contender, duel
from tests.benchmarks.framework import Bench, Section, Size, Table, Target
from tests.benchmarks.sparse_engines import CORES

K = 10
ENGINES = "tests.benchmarks.sparse_engines"
COLUMNS = (
    "engine", "threads", "ms a query", "ns a posting", "processor ns a posting", "times ours",
    "same first 10", "index MB", "peak MB", "build s",
)  # fmt: skip
PACKAGES = ("numpy", "numba", "scipy", "torch", "sentence-transformers", "pyseismic-lsr")
REACH_SCIPY = {100_000: 8.0, 1_000_000: 20.0}
REACH_NS = 1.3


@dataclass(frozen=True)
class Peer:
    title: str
    engine: str
    arguments: tuple[float, ...] = ()
    most_documents: int = 1_000_000


PEERS = (
    Peer("scipy: CSR product, then our top-k", "Scipy", (K,)),
    Peer("torch.sparse: CSR product, then topk", "TorchSparse", (K,)),
    Peer("sentence-transformers: semantic_search", "SentenceTransformers", (K,)),
    Peer("seismic, query cut 10, heap factor 0.8 (approximate)", "Seismic", (K, 10, 0.8), 100_000),
    Peer("seismic, whole queries, heap factor 1.0 (approximate)", "Seismic", (K, 1000, 1.0), 100_000),
    Peer("ours, one thread", "Ours", (K, 1)),
    Peer("ours, one query a call, one thread", "OursOneByOne", (K, 1)),
    Peer("ours, the first 1000", "Ours", (1000, CORES)),
)


@dataclass(frozen=True)
class Measured:
    """One corpus: rows of the table, what the targets need, and where our time goes."""

    documents: int
    postings: int
    table: Table
    scipy_ratio: float
    ns_a_posting: float
    processor_ns: float
    peak_bytes: int
    index_bytes: int
    adding_share: float


def run(size: Size) -> Section:
    sizes = (20_000,) if size.quick else tuple(REACH_SCIPY)
    measured = [_measure(documents, size.rounds) for documents in sizes]
    return Section(
        title="Exact sparse search",
        intro=_intro(),
        tables=tuple(each.table for each in measured),
        targets=tuple(target for each in measured for target in _targets(each)),
        notes=tuple(_notes(measured)),
        versions={name: version(name) for name in PACKAGES},
    )  # fmt: skip


def _measure(documents: int, rounds: int) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus.write(folder, documents)
        with contender(f"{ENGINES}:Ours", folder, documents, K, CORES) as ours:
            return _measure_against(ours, folder, documents, rounds)


def _measure_against(ours: Contender, folder: Path, documents: int, rounds: int) -> Measured:
    postings = _postings(folder)
    rows, turns, ratios = [], [], {}
    ours.turn()
    exact = ours.result()
    peak = ours.peak_bytes()
    for peer in (each for each in PEERS if documents <= each.most_documents):
        try:
            with contender(f"{ENGINES}:{peer.engine}", folder, documents, *peer.arguments) as theirs:
                result = duel(ours, theirs, rounds)
                rows.append(_row(peer.title, theirs, result, _same(exact, theirs.result()), postings))
        except EOFError:
            rows.append((peer.title, *["ended by the system, out of memory"], *[""] * (len(COLUMNS) - 2)))
            continue
        turns += result.ours
        ratios[peer.engine, peer.arguments] = result.ratio
    wall = statistics.median(turn.wall_s for turn in turns)
    cpu = statistics.median(turn.cpu_s for turn in turns)
    every = Duel(tuple(turns), tuple(turns))
    rows.insert(0, _row("**ours**", ours, every, 1.0, postings))
    profile = ours.profile()
    title = f"{documents:,} documents, {documents * corpus.TERMS:,} postings, k = {K}"
    return Measured(
        documents, postings, Table(title, COLUMNS, tuple(rows)), ratios["Scipy", (K,)],
        wall / postings * 1e9, cpu / postings * 1e9, peak, ours.facts.index_bytes,
        profile["adding_s"] / profile["all_s"],
    )  # fmt: skip


def _row(title: str, engine: Contender, result: Duel, same: float, postings: int) -> tuple[str, ...]:
    wall = statistics.median(turn.wall_s for turn in result.theirs)
    cpu = statistics.median(turn.cpu_s for turn in result.theirs)
    facts = engine.facts
    return (
        title, str(facts.threads), f"{wall * 1e3 / _count():.2f}", f"{wall / postings * 1e9:.2f}",
        f"{cpu / postings * 1e9:.2f}", f"{result.ratio:.2f}", f"{same:.3f}",
        f"{facts.index_bytes / 1e6:,.0f}" if facts.index_bytes else "not told",
        f"{engine.peak_bytes() / 1e6:,.0f}", f"{facts.build_s:.1f}",
    )  # fmt: skip


def _postings(folder: Path) -> int:
    """Read by one pass over the queries: the document frequencies of all their terms."""
    frequencies = np.bincount(np.fromfile(folder / "terms.bin", dtype=np.int32), minlength=corpus.VOCABULARY)
    return int(frequencies[corpus.queries()[1].indices].sum())


def _count() -> int:
    return corpus.queries()[1].shape[0]


def _same(exact: list, found: list) -> float:
    """Share of the exact first k that a peer's first k hold: its recall@k."""
    shares = [
        len(set(truth.tolist()) & set(rows[:K].tolist())) / len(truth)
        for truth, rows in zip(exact, found, strict=True)
    ]
    return float(np.mean(shares))


def _targets(measured: Measured) -> Iterator[Target]:
    at, reach = f"{measured.documents:,} documents", REACH_SCIPY.get(measured.documents, 1.0)
    ratio, ns = measured.scipy_ratio, measured.ns_a_posting
    yield Target(f"scipy's time over ours, {at}", f"at least {reach:g}", f"{ratio:.1f}", ratio >= reach)
    yield Target(f"ns a posting on {CORES} cores, {at}", f"at most {REACH_NS}", f"{ns:.2f}", ns <= REACH_NS)
    limit = 1.3 * measured.index_bytes + 512e6
    yield Target(
        f"peak memory of building and searching, {at}", f"at most {limit / 1e6:,.0f} MB",
        f"{measured.peak_bytes / 1e6:,.0f} MB", measured.peak_bytes <= limit,
    )  # fmt: skip


def _intro() -> str:
    what, queries = corpus.queries()
    return (
        f"{what}, {queries.nnz / queries.shape[0]:.0f} terms each, in one batch unless a row says otherwise. "
        "The documents are synthetic, 120 of 30,522 terms each, by a skewed law of frequencies "
        "(`tests/benchmarks/sparse_corpus.py`). Each engine has a process of its own and takes turns with "
        "ours; `times ours` is the median over the rounds of its wall time over ours in the same round, "
        "`same first 10` its recall@10 against the exact result. `processor ns` adds up all threads and "
        "hardly notices other work on the machine. MB are 10^6 bytes; the peak is that of the engine's "
        "process, libraries and building included."
    )


def _notes(measured: list[Measured]) -> Iterator[str]:
    for each in measured:
        yield (
            f"At {each.documents:,} documents a query reads {each.postings / _count():,.0f} postings. On one "
            f"thread, {each.adding_share:.0%} of our time adds postings; the rest finds the best and clears."
        )
        yield (
            f"There our threads took {each.processor_ns:.2f} ns of processor time a posting, which is "
            f"{each.processor_ns / CORES:.2f} ns on {CORES} cores of their own; wall time above that is "
            "waiting."
        )
    yield "We add in float64, the peers in float32, so that their first 10 may differ from ours at near ties."
    yield "Seismic clusters documents that share terms; these share them by chance, which does not favour it."
    yield "Seismic is left out above 100,000 documents: its building there would take most of the bench."
    yield "The second seismic row loads the first one's index, so its build is a load."


BENCH = Bench("sparse-search", run)
