"""Ours and a peer take turns, each in a fresh process of its own, so that both meet the same machine.

A process of its own also gives each its own peak memory and keeps one's thread pools out of the other's way.
"""

import importlib
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

TURN_S = 0.5  # a turn repeats what is shorter, so that a clock's or a scheduler's tick does not decide

PATIENCE_S = 60.0


class Engine(Protocol):
    """Made in its own process by a factory, which is what "build" measures."""

    version: str
    threads: int
    index_bytes: int

    def run(self) -> None: ...

    def result(self) -> Any:
        """What the last run found, in a form that all engines of the bench share."""

    def profile(self) -> dict[str, float]: ...


@dataclass(frozen=True)
class Turn:
    """Seconds a run, of the wall clock and of all threads' processor time."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Facts:
    version: str
    threads: int
    index_bytes: int
    build_s: float
    build_peak_bytes: int


@dataclass(frozen=True)
class Duel:
    ours: tuple[Turn, ...]
    theirs: tuple[Turn, ...]

    @property
    def ratio(self) -> float:
        """How many times our wall time the peer takes: the median over the rounds."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(theirs.wall_s / ours.wall_s for ours, theirs in pairs)


class Contender:
    """The near end of an engine's process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.facts: Facts = self._answer()

    def turn(self) -> Turn:
        return self._ask("turn")

    def result(self) -> Any:
        return self._ask("result")

    def profile(self) -> dict[str, float]:
        return self._ask("profile")

    def peak_bytes(self) -> int:
        return self._ask("peak")

    def _ask(self, what: str) -> Any:
        self._connection.send(what)
        return self._answer()

    def _answer(self) -> Any:
        answer = self._connection.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


@contextmanager
def contender(factory: str, *arguments: Any) -> Iterator[Contender]:
    """An engine's process; `factory` is "module:function"."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve, args=(far, factory, arguments), daemon=True)
    process.start()
    far.close()
    try:
        yield Contender(near)
    finally:
        near.close()
        process.join()


def duel(ours: Contender, theirs: Contender, rounds: int) -> Duel:
    """One turn each to warm up, then `rounds` turns each, alternating; fewer where the peer is slow."""
    for each in (ours, theirs):
        each.turn()
    turns: list[tuple[Turn, Turn]] = []
    while len(turns) < rounds and (len(turns) < 2 or sum(their.wall_s for _, their in turns) < PATIENCE_S):
        turns.append((ours.turn(), theirs.turn()))
    return Duel(tuple(our for our, _ in turns), tuple(their for _, their in turns))


def peak_bytes() -> int:
    """This process's highest resident memory. Not ru_maxrss, which starts at its parent's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def _serve(connection: Connection, factory: str, arguments: tuple[Any, ...]) -> None:
    Path("/proc/self/oom_score_adj").write_text("1000")  # short of memory, the bench goes first
    try:
        module, name = factory.split(":")
        start = time.perf_counter()
        engine: Engine = getattr(importlib.import_module(module), name)(*arguments)
        built = time.perf_counter() - start
        connection.send(Facts(engine.version, engine.threads, engine.index_bytes, built, peak_bytes()))
        answers = {"result": engine.result, "profile": engine.profile, "peak": peak_bytes}
        while True:
            what = connection.recv()
            connection.send(_turn(engine) if what == "turn" else answers[what]())
    except EOFError:  # the near end is done with us
        return
    except Exception as error:  # noqa: BLE001 - the near end raises it
        connection.send(error)


def _turn(engine: Engine) -> Turn:
    runs, wall, cpu = 0, time.perf_counter(), time.process_time()
    while runs == 0 or time.perf_counter() - wall < TURN_S:
        engine.run()
        runs += 1
    return Turn((time.perf_counter() - wall) / runs, (time.process_time() - cpu) / runs)
