"""Approximate engines over a system's own vectors: their search beside the exact one, with what it misses."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evaluations.encoding.threads import allowed_cores
from evaluations.latency.engines import ENGINES
from evaluations.latency.engines.base import Engine
from evaluations.latency.harness import PARTS, Recording, alternate
from evaluations.latency.quiet import quiet
from evaluations.latency.schedule import Schedule
from evaluations.latency.statistics import summary
from evaluations.search.found import Found
from evaluations.systems.abilities import IndexForm, QueryPath
from evaluations.tracks import Findings

EXACT = "exact"
_SEARCH = PARTS.index("search")
_SECOND = 1e9
SAID = 200  # characters of a foreign error that a report keeps


@dataclass(frozen=True)
class Approximate:
    """One engine beside the exact search: both p50 and p95 are of the same turns. `recall`: at k."""

    engine: Engine
    recall: float
    times: Recording
    exact: Recording
    build_s: float
    disk_bytes: int

    def to_dict(self, seed: int) -> dict[str, object]:
        ours, exact = (summary(_searches(each), seed) for each in (self.times, self.exact))
        return {
            "engine": self.engine.name,
            "version": self.engine.version,
            "parameters": dict(self.engine.parameters),
            "recall@10": self.recall,
            "search_latency_p50_ms": ours.p50,
            "search_latency_p95_ms": ours.p95,
            "exact_search_latency_p50_ms": exact.p50,
            "exact_search_latency_p95_ms": exact.p95,
            "index_build_s": self.build_s,
            "index_disk_bytes": self.disk_bytes,
        }


@dataclass(frozen=True)
class _Subject:
    path: QueryPath
    vectors: Any
    queries: Sequence[Any]
    k: int


def measure_engines(
    path: QueryPath,
    vectors: Callable[[], Any],
    texts: Sequence[str],
    k: int,
    schedule: Schedule | None = None,
    engines: Mapping[IndexForm, Sequence[Engine]] = ENGINES,
) -> Findings:
    """Those that are installed for the form of the system's index; queries are encoded once, before.

    Queries that have no vector, where vectors are given, are left out. `vectors` gives the documents', in the
    order that `path` finds rows of. None is needed: one that fails is left out, and why is in the details
    (`engines_failed`).
    """
    schedule = schedule or Schedule(block_s=0.0)
    chosen = installed(path, engines)
    if not chosen:
        return Findings(details={"engines": []})
    encoded = [path.encode(path.tokenise(text)) for text in texts]
    subject = _Subject(path, vectors(), [query for query in encoded if query is not None], k)
    tried = {engine.name: _tried(engine, subject, schedule) for engine in chosen}
    failed = {name: outcome for name, outcome in tried.items() if isinstance(outcome, str)}
    found = [outcome for outcome in tried.values() if not isinstance(outcome, str)]
    return Findings(details={"engines": found} | ({"engines_failed": failed} if failed else {}))


def installed(path: QueryPath, engines: Mapping[IndexForm, Sequence[Engine]] = ENGINES) -> list[Engine]:
    """For the form of the system's index; a system made of others has none."""
    return [engine for engine in engines.get(path.index, ()) if engine.is_installed]


def withheld(found: Findings, reason: str) -> Findings:
    """None of the engines' figures: recall without a time would say nothing. The reason is in the details."""
    return Findings(details={**found.details, "engines": [], "engines_withheld": reason})


def _tried(engine: Engine, subject: _Subject, schedule: Schedule) -> dict[str, object] | str:
    """Its figures, or why it has none: a session that was accepted does not end for an optional engine."""
    try:
        return _measured(engine, subject, schedule).to_dict(schedule.seed)
    except BaseException as error:
        if not _is_its_own(error):
            raise
        return f"{type(error).__name__}: {str(error)[:SAID]}"


def _is_its_own(error: BaseException) -> bool:
    """A Rust library's panic is no Exception, and neither is what ends the process, which must pass."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def recall(exact: Sequence[Found], found: Sequence[Found]) -> float:
    """Share of the exact first k that an engine's first k hold, mean over the queries that find something."""
    return float(np.mean(list(_shares(exact, found))))


def _shares(exact: Sequence[Found], found: Sequence[Found]) -> Iterator[float]:
    for truth, guess in zip(exact, found, strict=True):
        if len(truth.rows):
            yield len(set(truth.rows.tolist()) & set(guess.rows.tolist())) / len(truth.rows)


def _measured(engine: Engine, subject: _Subject, schedule: Schedule) -> Approximate:
    path, queries = subject.path, subject.queries
    started = time.perf_counter_ns()
    served = engine.build(subject.vectors, subject.k, allowed_cores())
    build_s = (time.perf_counter_ns() - started) / _SECOND
    ways = {EXACT: _over(path, queries), engine.name: _over(replace(path, search=served.search), queries)}
    with quiet():
        times = alternate(ways, [str(place) for place in range(len(queries))], schedule)
    shares = recall([path.search(query) for query in queries], [served.search(query) for query in queries])
    return Approximate(engine, shares, times[engine.name], times[EXACT], build_s, served.disk_bytes)


def _over(path: QueryPath, queries: Sequence[Any]) -> QueryPath:
    """The search alone: a "text" is the place of a query that is encoded already."""
    return replace(path, tokenise=int, encode=queries.__getitem__)


def _searches(recording: Recording) -> "list[Any]":
    return [block[..., _SEARCH] for block in recording.blocks]
