"""How many queries a second, and how long a query takes that arrives when it wants to.

Closed loop: each of some clients asks again as soon as it is answered. Open loop: queries arrive by a plan
that does not wait for answers, and a query's latency counts from the moment it was to be sent, so that every
query pays for a stall that it arrives in. A closed loop would hide that (coordinated omission).
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evaluations.latency.schedule import query_order
from evaluations.systems.abilities import QueryPath

LOAD = 0.7  # of the closed loop's rate
_SECOND = 1e9  # of nanoseconds


class Clock(Protocol):
    def now(self) -> int:
        """Nanoseconds."""

    def wait_until(self, moment: int) -> None:
        """Returns at the moment or late, never early; at once where it has passed."""


class RealClock:
    now = staticmethod(time.perf_counter_ns)

    def wait_until(self, moment: int) -> None:
        while (left := moment - time.perf_counter_ns()) > 0:
            time.sleep(left / _SECOND)


REAL: Clock = RealClock()
Result = TypeVar("Result")


@dataclass(frozen=True)
class OpenLoop:
    """`latencies_ns` in the order of arrival; `rate`: arrivals a second that were planned."""

    rate: float
    latencies_ns: NDArray[np.int64]


def closed_loop(
    paths: Sequence[QueryPath], texts: Sequence[str], seed: int, seconds: float, clock: Clock = REAL
) -> float:
    """Queries a second of as many clients as there are paths, each in a thread of its own."""
    start = clock.now()
    end = start + int(seconds * _SECOND)

    def client(number: int) -> tuple[int, int]:
        order = query_order(len(texts), seed + number)
        done, last = 0, start
        while last < end:
            answer(paths[number], texts[next(order)])
            done, last = done + 1, clock.now()
        return done, last

    finished = _in_threads(client, len(paths))
    return sum(done for done, _ in finished) / (max(last for _, last in finished) - start) * _SECOND


def open_loop(
    paths: Sequence[QueryPath],
    texts: Sequence[str],
    rate: float,
    count: int,
    seed: int,
    clock: Clock = REAL,
) -> OpenLoop:
    """`count` queries that arrive as a Poisson process; each free path takes the next in line."""
    order = query_order(len(texts), seed)
    asked = [texts[next(order)] for _ in range(count)]
    planned = clock.now() + poisson_arrivals(rate, count, seed)
    latencies = np.zeros(count, dtype=np.int64)
    line = _Line(count)

    def server(number: int) -> None:
        for place in line:
            clock.wait_until(int(planned[place]))
            answer(paths[number], asked[place])
            latencies[place] = clock.now() - planned[place]

    _in_threads(server, len(paths))
    return OpenLoop(rate, latencies)


def poisson_arrivals(rate: float, count: int, seed: int) -> NDArray[np.int64]:
    """Nanoseconds from the start at which queries arrive, ascending; gaps are exponential."""
    gaps = np.random.default_rng(seed).exponential(_SECOND / rate, size=count)
    return np.cumsum(gaps).astype(np.int64)


def answer(path: QueryPath, text: str) -> None:
    path.search(path.encode(path.tokenise(text)))
    path.wait()


class _Line:
    """Places 0 to `count` - 1, each given to one thread."""

    def __init__(self, count: int) -> None:
        self._places: Iterator[int] = iter(range(count))
        self._lock = threading.Lock()

    def __iter__(self) -> "_Line":
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._places)


def _in_threads(work: Callable[[int], Result], count: int) -> list[Result]:
    if count == 1:
        return [work(0)]
    with ThreadPoolExecutor(count, thread_name_prefix="client") as pool:
        return list(pool.map(work, range(count)))
