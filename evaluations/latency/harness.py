"""The timed loop: contenders take turns in chunks of queries, each query's three steps timed apart."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from evaluations.latency.schedule import Schedule, query_order
from evaluations.search.found import NOTHING
from evaluations.systems.abilities import QueryPath

Clock = Callable[[], int]
Times = list[tuple[int, int, int]]

PARTS = ("tokenise", "encode", "search")
EMPTY = "empty"


@dataclass(frozen=True)
class Recording:
    """One contender's times in ns: a block is an array of shape (chunks, queries of a chunk, `PARTS`)."""

    blocks: tuple[NDArray[np.int64], ...]

    @property
    def totals(self) -> list[NDArray[np.int64]]:
        """Each block's times of whole queries, shape (chunks, queries of a chunk)."""
        return [block.sum(axis=2) for block in self.blocks]

    def steps(self, names: Sequence[str]) -> list[NDArray[np.int64]]:
        """Each block's times of some of `PARTS` together, shape as of `totals`."""
        columns = [PARTS.index(name) for name in names]
        return [block[..., columns].sum(axis=2) for block in self.blocks]

    @property
    def samples(self) -> int:
        return sum(block.shape[0] * block.shape[1] for block in self.blocks)


def empty_path() -> QueryPath:
    """A system that does nothing: what is measured of it is the harness itself."""
    return QueryPath(
        tokenise=lambda text: text,
        encode=lambda tokens: tokens,
        search=lambda _: NOTHING,
        encoder="none",
        index="sparse",
        engine=EMPTY,
    )


def alternate(
    contenders: Mapping[str, QueryPath],
    texts: Sequence[str],
    schedule: Schedule,
    *,
    clock: Clock = time.perf_counter_ns,
    on_queries_done: Callable[[int], None] = lambda _: None,
    on_block_done: Callable[[], None] = lambda: None,
) -> dict[str, Recording]:
    """Times all contenders over the same queries, which each of them meets in chunks of its own.

    `texts` are distinct. Every contender is warmed up first. What `on_block_done` takes is in no time. Raises
    what a contender raises.
    """
    order = query_order(len(texts), schedule.seed)
    warmup = [texts[place] for place in islice(order, schedule.warmup)]
    for path in contenders.values():
        timed(path, warmup, clock)
    blocks: dict[str, list[NDArray[np.int64]]] = {name: [] for name in contenders}
    for _ in range(schedule.blocks):
        chunks: dict[str, list[Times]] = {name: [] for name in contenders}
        for chunk in _block(order, texts, schedule, clock):
            for name, path in contenders.items():
                chunks[name].append(timed(path, chunk, clock))
            on_queries_done(len(chunk))
        for name, times in chunks.items():
            blocks[name].append(np.array(times, dtype=np.int64))
        on_block_done()
    return {name: Recording(tuple(found)) for name, found in blocks.items()}


def timed(path: QueryPath, texts: Iterable[str], clock: Clock = time.perf_counter_ns) -> Times:
    """Nanoseconds of each step of each query. The device is idle when a query starts and when one ends."""
    tokenise, encode, search, wait = path.tokenise, path.encode, path.search, path.wait
    times: Times = []
    for text in texts:
        wait()
        start = clock()
        tokens = tokenise(text)
        tokenised = clock()
        query = encode(tokens)
        wait()
        encoded = clock()
        search(query)
        wait()
        searched = clock()
        times.append((tokenised - start, encoded - tokenised, searched - encoded))
    return times


def _block(
    order: Iterable[int], texts: Sequence[str], schedule: Schedule, clock: Clock
) -> "Iterable[list[str]]":
    """The chunks of one block, as long as it goes on."""
    started, chunks = clock(), 0
    while chunks < schedule.chunks or (
        chunks < schedule.most_chunks and clock() - started < schedule.block_ns
    ):
        yield [texts[place] for place in islice(order, schedule.chunk)]
        chunks += 1
