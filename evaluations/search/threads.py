"""Threads of the searches: compiled loops and BLAS products run without the interpreter's lock."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Work = TypeVar("Work")
Result = TypeVar("Result")


def in_order(work: Callable[[Work], Result], pieces: Sequence[Work], threads: int | None) -> Iterator[Result]:
    """The result of each piece, in their order; `threads` None takes every processor."""
    threads = threads or len(os.sched_getaffinity(0))
    if threads == 1 or len(pieces) <= 1:
        yield from map(work, pieces)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="search") as pool:
        yield from pool.map(work, pieces)


def one_blas_thread_each() -> AbstractContextManager[Any]:
    """While it lasts, a product stays in the thread that asks for it.

    BLAS' own threads wait for each other inside every product. Where one of them has to wait for a processor,
    all do, and several products at once queue for them.
    """
    return _controller().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]


@cache
def _controller() -> ThreadpoolController:
    """Made once: looking for the libraries that are loaded takes longer than a search may."""
    import numpy as np  # noqa: F401 - its BLAS must be there to be found

    return ThreadpoolController()
