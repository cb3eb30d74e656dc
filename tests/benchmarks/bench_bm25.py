"""BM25 from texts to ranked lists, against bm25s alone as its users call it."""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import lexical_corpus as corpus
from tests.benchmarks.alternation import Duel, Turn, contender
from tests.benchmarks.framework import Bench, Section, Size, Table, Target
from tests.benchmarks.lexical_engines import CORES, K

ENGINES = "tests.benchmarks.lexical_engines"
REACH = 1.1
MILLION = 1_000_000
MOST_ROUNDS = {None: 5, MILLION: 2}  # a round at a million documents takes minutes
COLUMNS = (
    "engine", "threads", "wall s", "processor s", "times ours", "tokenise s", "index s", "retrieve s",
    "peak MB", "same first 10",
)  # fmt: skip
PACKAGES = ("bm25s", "PyStemmer", "numba", "numpy", "scipy")


@dataclass(frozen=True)
class Player:
    title: str
    engine: str
    arguments: tuple[str | int, ...] = ()
    any_size: bool = True


OURS = Player("**ours**", "Ours")
PEERS = (
    Player("bm25s, numpy", "Bm25s", ("numpy", 0)),
    Player("bm25s, numpy, threads in retrieval", "Bm25s", ("numpy", CORES), any_size=False),
    Player("bm25s, numba", "Bm25s", ("numba", 0), any_size=False),
    Player("bm25s, numba, threads in retrieval", "Bm25s", ("numba", CORES)),
)


@dataclass(frozen=True)
class Played:
    """One player's turns on one corpus, each in a process of its own, and what the last one found."""

    turns: tuple[Turn, ...]
    threads: int
    seconds: dict[str, float]
    peak_bytes: int
    found: list[list[str]]


def run(size: Size) -> Section:
    corpora = (None, 20_000) if size.quick else (None, MILLION)
    tables, targets = [], []
    for documents in corpora:
        rounds = min(size.rounds, MOST_ROUNDS.get(documents, size.rounds))
        played = _play(documents, rounds)
        title = f"{_name(documents)}, median of {rounds} rounds"
        tables.append(Table(title, COLUMNS, tuple(_rows(played))))
        targets += _targets(_name(documents), played)
    return Section(
        title="BM25",
        intro=_intro(),
        tables=tuple(tables),
        targets=tuple(targets),
        notes=_NOTES,
        versions={name: version(name) for name in PACKAGES},
    )


def _play(documents: int | None, rounds: int) -> dict[Player, Played]:
    players = [player for player in (OURS, *PEERS) if player.any_size or documents != MILLION]
    played: dict[Player, Played] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if documents is not None:
            corpus.write(folder, documents)
        for _ in range(rounds):
            for player in players:
                before = played[player].turns if player in played else ()
                played[player] = _turn(player, None if documents is None else folder, before)
    return played


def _turn(player: Player, folder: Path | None, before: tuple[Turn, ...]) -> Played:
    with contender(f"{ENGINES}:{player.engine}", folder, *player.arguments) as engine:
        turns = (*before, engine.turn())
        return Played(turns, engine.facts.threads, engine.profile(), engine.peak_bytes(), engine.result())


def _rows(played: dict[Player, Played]) -> Iterator[tuple[str, ...]]:
    ours = played[OURS]
    for player, their in played.items():
        parts = (f"{their.seconds[name]:.2f}" if name in their.seconds else "in index" for name in _PARTS)
        yield (
            player.title, str(their.threads), f"{_median(their, 'wall_s'):.2f}",
            f"{_median(their, 'cpu_s'):.2f}", f"{Duel(ours.turns, their.turns).ratio:.2f}", *parts,
            f"{their.peak_bytes / 1e6:,.0f}", f"{_same(ours.found, their.found):.3f}",
        )  # fmt: skip


_PARTS = ("tokenise", "index", "retrieve")


def _median(played: Played, what: str) -> float:
    return statistics.median(getattr(turn, what) for turn in played.turns)


def _same(ours: list[list[str]], theirs: list[list[str]]) -> float:
    """Share of our first 10 that theirs hold, over queries that find something."""
    shares = [len(set(a) & set(b)) / len(a) for a, b in zip(ours, theirs, strict=True) if a]
    return statistics.mean(shares)


def _targets(name: str, played: dict[Player, Played]) -> Iterator[Target]:
    """Against each backend's own fastest way."""
    for backend in ("numpy", "numba"):
        peers = [their for player, their in played.items() if backend in player.arguments]
        share = max(1 / Duel(played[OURS].turns, their.turns).ratio for their in peers)
        yield Target(
            f"our time over bm25s's with {backend}, {name}",
            f"at most {REACH}",
            f"{share:.2f}",
            share <= REACH,
        )


def _name(documents: int | None) -> str:
    if documents is None:
        found = corpus.scifact()
        assert found is not None, "SciFact is not here: set SPARSEBOARD_SHARED_DATA"
        return f"SciFact, {len(found[0]):,} documents, {len(found[1])} queries"
    return f"{documents:,} synthetic documents, {corpus.QUERIES} queries"


def _intro() -> str:
    return (
        f"From texts in memory to the first {K} documents of each query: tokenise with English stop words "
        "and stems, index, retrieve, and nothing kept between runs. bm25s is called as its README does: "
        "`bm25s.tokenize`, `BM25().index`, `retrieve`; ours is the kind `bm25` as an evaluation calls it, "
        "which also ranks ids for ties and gives ids back. The synthetic documents are by a Zipf law "
        "(`tests/benchmarks/lexical_corpus.py`). Each turn is a fresh process, which first goes through "
        "2,000 documents, so that compiling is not timed where an engine keeps what it compiled; the engines "
        "take turns. `times ours` is the median over the rounds of an engine's wall time over ours in the "
        "same round; parts, peak and results are those of the last round. The peak is that of the whole "
        "process, with the texts."
    )


_NOTES = (
    "bm25s cuts ties without looking at ids, and adds in float32: its first 10 may differ from ours there.",
    "With the numba backend, each new bm25s index compiles its functions anew; that is in its time, since "
    "whoever calls it pays for it.",
    "At a million documents bm25s runs as it does by default, and with all it has.",
    "Threads are those of the retrieval: tokenising and indexing take one thread in every engine.",
)

BENCH = Bench("bm25", run)
