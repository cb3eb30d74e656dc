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
