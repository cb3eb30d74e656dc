"""Systems of a known speed. They wait by the clock, so that a busy machine makes them late, never early.

So what they wait is a lower bound on any machine; `steady` is for upper ones.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from evaluations.latency.harness import empty_path
from evaluations.systems.abilities import QueryPath

SPUN_MS = 0.3  # of each wait: a sleep alone ends a little late
ATTEMPTS = 3
Figures = dict[str, float]
Found = TypeVar("Found")


def wait_ms(milliseconds: float) -> Callable[[object], object]:
    """A step of that length: sleeps, and looks at the clock for the last part."""

    def step(given: object) -> object:
        end = time.perf_counter_ns() + int(milliseconds * 1e6)
        if milliseconds > SPUN_MS:
            time.sleep((milliseconds - SPUN_MS) / 1e3)
        while time.perf_counter_ns() < end:
            pass
        return given

    return step


def waiting_path(encode_ms: float = 0.0, search_ms: float = 0.0) -> QueryPath:
    """Its steps give on what they were given."""
    return replace(empty_path(), encode=wait_ms(encode_ms), search=wait_ms(search_ms))


class HandClock:
    """Stands still but where a step moves it, in nanoseconds: what takes how long is exact."""

    def __init__(self) -> None:
        self.moment = 0

    def __call__(self) -> int:
        return self.moment

    def step(self, milliseconds: float) -> Callable[[object], object]:
        def taken(given: object) -> object:
            self.moment += round(milliseconds * 1e6)
            return given

        return taken


def steady(
    measure: Callable[[], Found], figures: Callable[[Found], Figures], expected: Mapping[str, object]
) -> Found:
    """What `measure` finds; measured again, up to three times in all, while its figures are not as expected.

    Other processes take the processor for moments: a harness that is wrong is so every time, one that is
    right only in those moments. The caller asserts on what is returned.
    """
    for _ in range(ATTEMPTS - 1):
        found = measure()
        if figures(found) == expected:
            return found
    return measure()
