"""Exact search over several vectors a text: the sum, over a query's vectors, of the best product with a
document's (MaxSim; Khattab and Zaharia 2020).

A score is made of float64 products, summed in the order of the query's vectors and rounded to float32.
Float32 products select twice: the documents that may be among the first k, and in each of them the vectors
that may be the best for a vector of the query. Only those are computed again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.errors import EvaluationFailed
from evaluations.search.found import NOTHING, Found, rounding_bounds
from evaluations.search.order import top_k

QUERY_VECTORS = 512
DOCUMENT_VECTORS = 16_384
SELECTION_BYTES = 1 << 27  # of a block's approximate scores
PAIRS = 1 << 15  # of vectors, multiplied at once in float64

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class TokenVectors:
    """The vectors of text i are the rows `offsets[i]` to `offsets[i + 1]` of `vectors`."""

    vectors: Float32
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def counts(self, texts: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.offsets[texts + 1] - self.offsets[texts]

    @property
    def filled(self) -> NDArray[np.int64]:
        """The texts that have a vector, ascending."""
        return np.flatnonzero(np.diff(self.offsets))


@dataclass(frozen=True, eq=False)
class MaxSimIndex:
    """Documents with what a search must know of them: who has a vector, and the norm of the longest.

    `ranks` are the documents' `id_ranks`. `mean` divides by the number of the query's vectors (MeanMaxSim).
    """

    documents: TokenVectors
    ranks: NDArray[np.int64]
    longest: float
    filled: NDArray[np.int64]
    mean: bool

    @classmethod
    def build(cls, documents: TokenVectors, ranks: NDArray[np.int64], *, mean: bool = False) -> "MaxSimIndex":
        """Reads the vectors once. Raises EvaluationFailed `VECTORS` where they are not finite."""
        longest = float(_norms(documents, "document").max(initial=0.0))
        return cls(documents, ranks, longest, documents.filled, mean)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All that it holds."""
        return self.documents.vectors, self.documents.offsets, self.ranks, self.filled

    def search(
        self, queries: TokenVectors, k: int, on_queries_done: Callable[[int], None] = lambda _: None
    ) -> list[Found]:
        """The first k documents of each query in the one order, as if all products were computed in float64.

        A text without vectors finds nothing and is not found. Raises EvaluationFailed `VECTORS` for vectors
        that are not finite or whose scores leave float32.
        """
        query_norms = _norms(queries, "query")
        _check_range(queries, query_norms, self.longest)
        bounds = rounding_bounds(query_norms, self.longest, queries.vectors.shape[1])
        found = []
        for first, last in _query_blocks(queries, len(self.filled)):
            selected = _approximate(queries, first, last, self.documents, self.filled)
            for query in range(first, last):
                own = slice(queries.offsets[query], queries.offsets[query + 1])
                one = _Query(queries.vectors[own], bounds[own], self.mean)
                found.append(one.best(selected[query - first], self.documents, self.filled, self.ranks, k))
            on_queries_done(last - first)
        return found


def search(
    queries: TokenVectors,
    documents: TokenVectors,
    ranks: NDArray[np.int64],
    k: int,
    *,
    mean: bool = False,
    on_queries_done: Callable[[int], None] = lambda _: None,
) -> list[Found]:
    """One search over documents that are searched once: see `MaxSimIndex`."""
    return MaxSimIndex.build(documents, ranks, mean=mean).search(queries, k, on_queries_done)


@dataclass(frozen=True)
class _Query:
    """`bounds`: how far a float32 product of each vector may be from the final one, shape (vectors,)."""

    vectors: Float32
    bounds: Float64
    mean: bool

    def best(
        self,
        selected: Float64,
        documents: TokenVectors,
        there: NDArray[np.int64],
        ranks: NDArray[np.int64],
        k: int,
    ) -> Found:
        """`selected`: sums of float32 maxima, one for each document of `there`."""
        if not len(self.vectors):
            return NOTHING
        rows = there[_candidates(selected, k, float(self.bounds.sum()))]
        scores = self.exact_scores(documents, rows)
        kept = top_k(scores, ranks[rows], k)
        return Found(rows[kept], scores[kept])

    def exact_scores(self, documents: TokenVectors, rows: NDArray[np.int64]) -> Float32:
        blocks = _document_blocks(documents, rows)
        sums = [self._exact_sums(documents, rows[first:last]) for first, last in blocks]
        total = np.concatenate(sums) if sums else np.empty(0)
        scores: Float32 = (total / (len(self.vectors) if self.mean else 1)).astype(np.float32)
        return scores

    def _exact_sums(self, documents: TokenVectors, rows: NDArray[np.int64]) -> Float64:
        vectors, starts = _gathered(documents, rows)
        products = self.vectors @ vectors.T
        maxima = np.maximum.reduceat(products, starts, axis=1)
        counts = np.diff(np.append(starts, len(vectors)))
        floors = _below(maxima - 2.0 * self.bounds[:, np.newaxis])
        near = np.flatnonzero(products >= np.repeat(floors, counts, axis=1))
        own, theirs = np.divmod(near, len(vectors))
        exact = _products(self.vectors, own, vectors, theirs)
        document = np.searchsorted(starts, theirs, side="right") - 1
        group = own * len(rows) + document  # ascending, and none is left out: each has its maximum
        best = np.maximum.reduceat(exact, np.flatnonzero(np.diff(group, prepend=-1)))
        total = np.zeros(len(rows))
        for row in best.reshape(len(self.vectors), len(rows)):
            total += row  # one after the other: numpy's own order of additions depends on the shape
        return total


def _below(bounds: Float64) -> Float32:
    """Float32 that are no greater: products are compared with them in their own type, which is faster."""
    return np.nextafter(bounds.astype(np.float32), np.float32(-np.inf))


def _approximate(
    queries: TokenVectors, first: int, last: int, documents: TokenVectors, there: NDArray[np.int64]
) -> Float64:
    """Sums of float32 maxima, shape (queries, documents in `there`)."""
    begin, end = queries.offsets[first], queries.offsets[last]
    starts = queries.offsets[first:last] - begin
    filled = np.flatnonzero(np.diff(queries.offsets[first : last + 1]))
    selected = np.zeros((last - first, len(there)))
    if not len(filled):
        return selected
    for low, high in _document_blocks(documents, there):
        vectors, document_starts = _gathered(documents, there[low:high])
        products = queries.vectors[begin:end] @ vectors.T
        maxima = np.maximum.reduceat(products, document_starts, axis=1).astype(np.float64)
        selected[filled, low:high] = np.add.reduceat(maxima, starts[filled], axis=0)
    return selected


def _candidates(selected: Float64, k: int, bound: float) -> NDArray[np.int64]:
    if len(selected) <= k:
        return np.arange(len(selected))
    kth = np.partition(selected, len(selected) - k)[len(selected) - k]
    return np.flatnonzero(selected >= kth - 2.0 * bound)


def _products(
    left: Float32, left_rows: NDArray[np.int64], right: Float32, right_rows: NDArray[np.int64]
) -> Float64:
    """Float64 products of pairs of rows, each summed along the row: equal pairs have equal products."""
    products = np.empty(len(left_rows))
    for start in range(0, len(left_rows), PAIRS):
        here = slice(start, start + PAIRS)
        pairs = left[left_rows[here]].astype(np.float64) * right[right_rows[here]]
        products[here] = pairs.sum(axis=1)
    return products


def _gathered(texts: TokenVectors, rows: NDArray[np.int64]) -> tuple[Float32, NDArray[np.int64]]:
    """The vectors of some texts, none empty, and where each text's begin. A view where they adjoin."""
    counts = texts.counts(rows)
    starts = np.cumsum(counts) - counts
    first, last = texts.offsets[rows[0]], texts.offsets[rows[-1] + 1]
    if last - first == counts.sum() and (np.diff(rows) > 0).all():
        return texts.vectors[first:last], starts
    places = np.arange(counts.sum()) + np.repeat(texts.offsets[rows] - starts, counts)
    return texts.vectors[places], starts


def _document_blocks(documents: TokenVectors, rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Of `rows`, as many at once as have no more than the block's vectors; at least one."""
    ends = np.cumsum(documents.counts(rows))
    first = 0
    while first < len(rows):
        before = ends[first - 1] if first else 0
        last = int(np.searchsorted(ends, before + DOCUMENT_VECTORS, side="right"))
        yield first, max(last, first + 1)
        first = max(last, first + 1)


def _query_blocks(queries: TokenVectors, documents: int) -> Iterator[tuple[int, int]]:
    """Blocks whose vectors and whose approximate scores are bounded; at least one query."""
    most = max(1, SELECTION_BYTES // (8 * max(1, documents)))
    first = 0
    while first < len(queries):
        fitting = np.searchsorted(queries.offsets, queries.offsets[first] + QUERY_VECTORS, side="right") - 1
        last = min(max(int(fitting), first + 1), first + most, len(queries))
        yield first, last
        first = last


def _norms(texts: TokenVectors, name: str) -> Float64:
    """Euclidean norms in float64, shape (rows,), a block at a time."""
    norms = np.empty(len(texts.vectors))
    for start in range(0, len(norms), DOCUMENT_VECTORS):
        block = texts.vectors[start : start + DOCUMENT_VECTORS].astype(np.float64)
        norms[start : start + len(block)] = np.linalg.norm(block, axis=1)
    if not np.isfinite(norms).all():
        raise EvaluationFailed("VECTORS", f"the model gave {name} vectors that are not finite numbers")
    return norms


def _check_range(queries: TokenVectors, query_norms: Float64, longest: float) -> None:
    padded = np.append(query_norms, 0.0)  # a last query without vectors begins beyond them
    sums = np.add.reduceat(padded, queries.offsets[:-1]) if len(queries) else padded
    if sums.max(initial=0.0) * longest > np.finfo(np.float32).max / 2:
        raise EvaluationFailed("VECTORS", "the vectors are so long that their scores leave float32")
