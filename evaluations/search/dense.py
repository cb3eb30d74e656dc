"""Exact search over dense vectors: float32 selects, float64 decides.

A score is the float64 inner product, rounded to float32. Float32 products differ by position and by block
size, also for identical documents, so they only select: whatever lies within their rounding bound of the
k-th place is computed again.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.search import dense_kernels, kernels
from evaluations.search.found import Found, require_finite, require_range, rounding_bounds
from evaluations.search.threads import in_order, one_blas_thread_each

DOCUMENT_BLOCK = 4096  # documents that stay in the processor's cache while all queries meet them
QUERY_BLOCK = 256  # with fewer, BLAS spends a growing share of its time on laying documents out
STRIPE = 16  # queries whose best one thread at a time may change
PASS_BYTES = 1 << 27  # of the best of the queries that go through the documents together

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DenseIndex:
    """Documents as they are, and what a search must know of them. Make one with `build`.

    `documents` (documents, dimensions) may be mapped from a file: they are read a block at a time. `ranks`
    are their `id_ranks`, `rows` the inverse. `longest` is the norm of the longest vector of each block.
    """

    documents: Float32
    ranks: NDArray[np.uint32]
    rows: NDArray[np.uint32]
    longest: NDArray[np.float64]
    block_size: int

    @classmethod
    def build(cls, documents: Float32, ranks: NDArray[np.int64], threads: int | None = None) -> "DenseIndex":
        """Reads float32 documents once. Raises EvaluationFailed `VECTORS` where they are not finite."""
        size = DOCUMENT_BLOCK
        starts = range(0, len(documents), size)
        longest = np.array(list(in_order(lambda at: _longest(documents[at : at + size]), starts, threads)))
        require_finite("document", longest)
        rows = np.empty(len(ranks), dtype=np.uint32)
        rows[ranks] = np.arange(len(ranks), dtype=np.uint32)
        return cls(documents, ranks.astype(np.uint32), rows, longest, size)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All that it holds."""
        return self.documents, self.ranks, self.rows, self.longest

    @property
    def nbytes(self) -> int:
        return sum(int(array.nbytes) for array in self.arrays)

    def __len__(self) -> int:
        return len(self.documents)

    def search(
        self,
        queries: Float32,
        k: int,
        threads: int | None = None,
        on_queries_done: Callable[[int], None] = lambda _: None,
    ) -> list[Found]:
        """The first k documents of each query in the one order, as if all scores were computed in float64.

        `queries` (queries, dimensions) are float32; `threads` None takes every processor. Queries go through
        the documents together, so progress is the documents' share, told in queries. Memory beyond the
        arguments: a block of products a thread, and twice the results. Raises EvaluationFailed `VECTORS` for
        vectors that are not finite or whose products leave float32.
        """
        queries = np.ascontiguousarray(queries)
        norms = np.linalg.norm(queries.astype(np.float64), axis=1)
        require_finite("query", norms)
        require_range(norms.max(initial=0.0) * self.longest.max(initial=0.0))
        k = max(0, min(k, len(self)))
        size = max(1, PASS_BYTES // (8 * _places(k)))
        found: list[Found] = []
        for start in range(0, len(queries), size):
            here = slice(start, start + size)
            found += _Pass(self, queries[here], norms[here], k).run(threads, on_queries_done)
        return found


def search(
    queries: Float32,
    documents: Float32,
    ranks: NDArray[np.int64],
    k: int,
    on_queries_done: Callable[[int], None] = lambda _: None,
    threads: int | None = None,
) -> list[Found]:
    """One search over documents that are searched once: see `DenseIndex`."""
    return DenseIndex.build(documents, ranks, threads).search(queries, k, threads, on_queries_done)


def exact_scores(query: Float32, documents: Float32) -> Float32:
    """Float64 products of a query (dimensions,) with documents (documents, dimensions), in float32."""
    return dense_kernels.exact_scores(query, documents)


class _Pass:
    """Queries on their way through the documents. Threads take blocks of documents in turn."""

    def __init__(self, index: DenseIndex, queries: Float32, norms: NDArray[np.float64], k: int) -> None:
        self._index = index
        self._queries = queries
        self._norms = norms
        self._k = k
        self._best = np.zeros((len(queries), _places(k)), dtype=np.uint64)
        self._locks = [threading.Lock() for _ in range(0, len(queries), STRIPE)]

    def run(self, threads: int | None, on_queries_done: Callable[[int], None]) -> list[Found]:
        told, blocks = 0, range(len(self._index.longest) if self._k else 0)
        with one_blas_thread_each():
            for done, _ in enumerate(in_order(self._take, blocks, threads), start=1):
                now = len(self._queries) * done // len(blocks)
                on_queries_done(now - told)
                told = now
        on_queries_done(len(self._queries) - told)
        return [self._found(best) for best in self._best]

    def _take(self, block: int) -> None:
        """Offers a block of documents to all queries."""
        index = self._index
        here = slice(block * index.block_size, (block + 1) * index.block_size)
        documents, ranks = np.ascontiguousarray(index.documents[here]), index.ranks[here]
        bounds = rounding_bounds(self._norms, float(index.longest[block]), documents.shape[1])
        for start in range(0, len(self._queries), QUERY_BLOCK):
            queries = self._queries[start : start + QUERY_BLOCK]
            products = _scratch(len(queries), len(documents))
            np.matmul(queries, documents.T, out=products)
            for first, last in self._stripes(start, start + len(queries), block):
                with self._locks[first // STRIPE]:
                    dense_kernels.collect(
                        products[first - start : last - start], self._queries[first:last], documents,
                        bounds[first:last], ranks, self._best[first:last], self._k,
                    )  # fmt: skip

    def _stripes(self, start: int, stop: int, turn: int) -> Iterator[tuple[int, int]]:
        """Ends of the stripes of some queries, beginning elsewhere at each turn: threads seldom meet."""
        ends = [(first, min(first + STRIPE, stop)) for first in range(start, stop, STRIPE)]
        turned = turn * len(ends) // 2 % len(ends)
        yield from ends[turned:] + ends[:turned]

    def _found(self, best: NDArray[np.uint64]) -> Found:
        rows, scores = np.empty(self._k, dtype=np.int64), np.empty(self._k, dtype=np.float32)
        if self._k:
            kernels.take_best(best, self._k, self._index.rows, rows, scores)
        return Found(rows, scores)


def _places(k: int) -> int:
    """Length of a query's row of `best`: the count, the bar, and room to gather in."""
    return 2 + 2 * k + kernels.LANES


def _longest(vectors: Float32) -> float:
    return float(np.sqrt(dense_kernels.largest_square(np.ascontiguousarray(vectors))))


_of_thread = threading.local()


def _scratch(queries: int, documents: int) -> Float32:
    """This thread's block of products, made once: fresh memory costs a page fault every 4 KiB."""
    products: Float32 | None = getattr(_of_thread, "products", None)
    if products is None or products.size < queries * documents:
        products = np.empty(queries * documents, dtype=np.float32)
        _of_thread.products = products
    return products[: queries * documents].reshape(queries, documents)
