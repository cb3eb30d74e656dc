"""Systems of a known speed. They wait by the clock, so that a busy machine makes them late, never early."""

import time
from collections.abc import Callable
from dataclasses import replace

from evaluations.latency.harness import empty_path
from evaluations.systems.abilities import QueryPath

SPUN_MS = 0.3  # of each wait: a sleep alone ends a little late


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
