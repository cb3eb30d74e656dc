"""Keeping our own process still while it is timed: threads, cores, the garbage collector."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TASKS = Path("/proc/self/task")
TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Quiet:
    """`cores`: those that the process is pinned to; None where the system does not allow it."""

    threads: int
    cores: tuple[int, ...] | None


@contextmanager
def quiet(threads: int = 1, cores: int | None = None) -> Iterator[Quiet]:
    """No garbage collection, `threads` threads in every library's pool; as before afterwards.

    `cores`: how many the process is pinned to, as many as threads where not said. The last are taken: the
    first serves most of a machine's interrupts. Of one core's several processors one, while there are cores.
    """
    from threadpoolctl import threadpool_limits

    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        with (
            _numba_threads(threads),  # being asked, numba loads the library whose pool is limited below
            _torch_threads(threads),
            threadpool_limits(threads),
            _pinned(cores or threads) as pinned,
        ):
            yield Quiet(threads, pinned)
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    if "torch" not in sys.modules:  # nothing to limit, and importing it takes seconds
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _numba_threads(threads: int) -> Iterator[None]:
    if "numba" not in sys.modules:
        yield
        return
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


@contextmanager
def _pinned(count: int) -> Iterator[tuple[int, ...] | None]:
    """All threads of the process, those of the libraries' pools too."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    cores = chosen(before, count)
    pinned = _pin(set(cores))
    try:
        yield cores if pinned else None
    finally:
        _pin(before)


def chosen(allowed: set[int], count: int, topology: Path = TOPOLOGY) -> tuple[int, ...]:
    """`count` of the allowed processors, the last, each of another core as far as there are cores.

    However siblings are numbered, beside each other or in two halves. One counts as a core of its own where
    the system does not say.
    """
    last_of: dict[str, int] = {}
    for processor in sorted(allowed):
        last_of[_core(processor, topology)] = processor
    cores = sorted(last_of.values())
    siblings = sorted(allowed - set(cores))
    return tuple(sorted((siblings + cores)[-count:]))


def _core(processor: int, topology: Path) -> str:
    """A text that the siblings of one core have in common."""
    path = topology / f"cpu{processor}" / "topology" / "thread_siblings_list"
    try:
        return path.read_text().strip()
    except OSError:
        return f"only {processor}"


def _pin(cores: set[int]) -> bool:
    try:
        for task in TASKS.iterdir():
            _pin_one(int(task.name), cores)
    except OSError:
        return False
    return True


def _pin_one(task: int, cores: set[int]) -> None:
    """A thread may have ended since it was listed."""
    try:
        os.sched_setaffinity(task, cores)
    except ProcessLookupError:
        return
