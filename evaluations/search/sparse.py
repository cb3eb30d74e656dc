"""Exact search over sparse vectors: every posting of the query's terms is added, in float64.

A score is the float64 inner product of the stored float32 vectors, its terms added in ascending order, and
rounded to float32. Only documents that share a non-zero dimension with the query are found. Selecting in
float32 and computing the top again saves nothing here: reading the postings takes the time.
"""

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, vstack

from evaluations.errors import EvaluationFailed
from evaluations.search import kernels
from evaluations.search.found import Found

SEGMENT = 1 << 16  # documents whose places fit 16 bits
INT32_POSTINGS = 2**31 - 1
QUERY_BLOCK = 16  # queries that share what is in the cache; more leave the threads unevenly loaded
BEST_BYTES = 1 << 25  # limits a block's results where k is very large

Block = TypeVar("Block")


@dataclass(frozen=True)
class Rows:
    """Sparse vectors without zeros and duplicates, terms ascending: offsets (rows + 1,), terms, weights."""

    offsets: NDArray[np.int64]
    terms: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, eq=False)
class SparseIndex:
    """Postings by segment, term and document (see kernels.py). Make one with `build` or an `IndexBuilder`.

    `offsets` has shape (segments, dimensions + 1), int32 or int64 as the postings need. `ranks` are the
    documents' `id_ranks`, `rows` the inverse: the document of each rank.
    """

    offsets: kernels.Offsets
    documents: NDArray[np.uint16]
    impacts: NDArray[np.float32]
    ranks: NDArray[np.uint32]
    rows: NDArray[np.uint32]
    segment_size: int

    @classmethod
    def build(
        cls, matrix: csr_array[Any] | csc_array[Any], ranks: NDArray[np.int64], *, segment_size: int = SEGMENT
    ) -> "SparseIndex":
        """Of a matrix (documents, dimensions); CSR is read segment by segment, CSC is copied first."""
        builder = IndexBuilder(int(matrix.shape[1]), segment_size=segment_size)
        builder.add(csr_array(matrix))
        return builder.finish(ranks)

    @classmethod
    def from_blocks(
        cls, blocks: Iterable[csr_array[Any]], ranks: NDArray[np.int64], dimensions: int
    ) -> "SparseIndex":
        """Of a corpus in blocks of rows, each let go before the next is asked for."""
        builder = IndexBuilder(dimensions)
        for block in blocks:
            builder.add(block)
        return builder.finish(ranks)

    @property
    def dimensions(self) -> int:
        return int(self.offsets.shape[1]) - 1

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All that it holds."""
        return self.offsets, self.documents, self.impacts, self.ranks, self.rows

    @property
    def nbytes(self) -> int:
        return sum(int(array.nbytes) for array in self.arrays)

    def rebuilt(self) -> "SparseIndex":
        """Made anew, a segment after the other, of the vectors it holds."""
        builder = IndexBuilder(self.dimensions, segment_size=self.segment_size)
        for segment in range(len(self.offsets)):
            builder.add(self._segment_matrix(segment))
        return builder.finish(self.ranks.astype(np.int64))

    def __len__(self) -> int:
        return len(self.ranks)

    def matrix(self) -> csr_array[Any]:
        """The vectors again, shape (documents, dimensions), terms ascending: as much memory as the index."""
        blocks = [self._segment_matrix(segment) for segment in range(len(self.offsets))]
        empty = csr_array((0, self.dimensions), dtype=np.float32)
        return csr_array(vstack([empty, *blocks], format="csr", dtype=np.float32))

    def _segment_matrix(self, segment: int) -> csr_array[Any]:
        offsets = self.offsets[segment].astype(np.int64)
        first = segment * self.segment_size
        rows = min(self.segment_size, len(self) - first)
        within = slice(offsets[0], offsets[-1])
        stored: Any = (self.impacts[within], self.documents[within].astype(np.int32), offsets - offsets[0])
        return csr_array(csc_array(stored, shape=(rows, self.dimensions)))

    def search(
        self,
        queries: csr_array[Any],
        k: int,
        threads: int | None = None,
        on_queries_done: Callable[[int], None] = lambda _: None,
        bases: NDArray[np.float64] | None = None,
    ) -> list[Found]:
        """The first k documents of each query in the one order; `threads` None takes every processor.

        `bases`, shape (queries,), are added to the float64 products of the documents found, before rounding:
        what a query's terms score in every document. They make no document a candidate. Terms beyond the
        index's dimensions find nothing. Raises EvaluationFailed `VECTORS` for weights that are not finite or
        scores that leave float32.
        """
        rows = canonical(queries, self.dimensions)
        threads = threads or len(os.sched_getaffinity(0))
        added = np.zeros(len(rows)) if bases is None else bases
        blocks = [
            (rows_between(rows, start, end), added[start:end])
            for start, end in self._blocks(len(rows), k, threads)
        ]
        found: list[Found] = []
        for results in _in_order(lambda block: self._search_block(*block, k), blocks, threads):
            found += results
            on_queries_done(len(results))
        return found

    def search_one(
        self, terms: NDArray[np.int32], weights: NDArray[np.float32], k: int, base: float = 0.0
    ) -> Found:
        """One query, in this thread, without scipy's checks: terms distinct and known, weights not 0."""
        ascending = np.argsort(terms)
        offsets = np.array([0, len(terms)], dtype=np.int64)
        rows = Rows(offsets, terms[ascending], weights[ascending])
        return self._search_block(rows, np.array([base]), k)[0]

    def _blocks(self, queries: int, k: int, threads: int) -> Iterator[tuple[int, int]]:
        fair = math.ceil(queries / (4 * threads))
        size = max(1, min(QUERY_BLOCK, fair, BEST_BYTES // (8 * self._places(k))))
        return ((start, min(start + size, queries)) for start in range(0, queries, size))

    def _places(self, k: int) -> int:
        """Length of a query's row of `best`."""
        return 2 + 2 * min(k, len(self)) + kernels.LANES

    def _search_block(self, queries: Rows, bases: NDArray[np.float64], k: int) -> list[Found]:
        size, k = len(queries), min(k, len(self))
        counts, rows = np.zeros(size, dtype=np.int64), np.empty((size, max(k, 0)), dtype=np.int64)
        scores = np.empty(rows.shape, dtype=np.float32)
        if k > 0:
            kernels.search_queries(
                self.offsets, self.documents, self.impacts, self.ranks, self.rows, self.segment_size,
                queries.offsets, queries.terms, queries.weights, bases, k, _untouched(self.segment_size),
                np.zeros((size, self._places(k)), dtype=np.uint64), counts, rows, scores,
            )  # fmt: skip
        places = enumerate(counts.tolist())
        return [_checked(Found(rows[query, :count], scores[query, :count])) for query, count in places]


class IndexBuilder:
    """Takes a corpus in blocks of rows and holds no more than the index, a segment and a block."""

    def __init__(self, dimensions: int, *, segment_size: int = SEGMENT) -> None:
        self._dimensions = dimensions
        self._segment_size = segment_size
        self._waiting: list[csr_array[Any]] = []
        self._waiting_rows = 0
        self._starts: list[NDArray[np.int64]] = []
        self._documents = np.empty(0, dtype=np.uint16)
        self._impacts = np.empty(0, dtype=np.float32)
        self._rows = 0

    def add(self, block: csr_array[Any]) -> None:
        """Rows (documents, dimensions), in the corpus' order. Raises EvaluationFailed `VECTORS`."""
        if block.shape[1] != self._dimensions:
            message = f"a block has {block.shape[1]} dimensions, the index {self._dimensions}"
            raise EvaluationFailed("VECTORS", message)
        start = 0
        while start < block.shape[0]:
            taken = block[start : start + self._segment_size - self._waiting_rows]
            self._waiting.append(taken)
            self._waiting_rows += taken.shape[0]
            start += taken.shape[0]
            if self._waiting_rows == self._segment_size:
                self._close_segment()

    def finish(self, ranks: NDArray[np.int64]) -> SparseIndex:
        """The index; `ranks` are the documents' `id_ranks`. The builder is empty afterwards."""
        if self._waiting_rows:
            self._close_segment()
        if len(ranks) != self._rows:
            raise ValueError(f"{self._rows} documents, but {len(ranks)} ranks")
        rows = np.empty(len(ranks), dtype=np.uint32)
        rows[ranks] = np.arange(len(ranks), dtype=np.uint32)
        documents, impacts, starts = self._documents, self._impacts, self._starts
        IndexBuilder.__init__(self, self._dimensions, segment_size=self._segment_size)
        offsets = _offsets(starts, self._dimensions, len(documents))
        return SparseIndex(offsets, documents, impacts, ranks.astype(np.uint32), rows, self._segment_size)

    def _close_segment(self) -> None:
        waiting, self._waiting = self._waiting, []
        stored = len(self._documents)
        counts = np.zeros(self._dimensions + 1, dtype=np.int64)
        parts = [canonical(block, self._dimensions) for block in _merged_where_small(waiting)]
        for part in parts:
            kernels.count_terms(part.terms, counts)
        starts = stored + np.cumsum(counts)
        # In place: the system moves pages instead of copying the postings, so that memory never doubles.
        self._documents.resize(int(starts[-1]), refcheck=False)
        self._impacts.resize(int(starts[-1]), refcheck=False)
        self._fill(parts, starts[:-1].copy())
        self._starts.append(starts)
        self._rows += self._waiting_rows
        self._waiting_rows = 0

    def _fill(self, parts: list[Rows], cursors: NDArray[np.int64]) -> None:
        first = 0
        for part in parts:
            kernels.transpose(
                part.offsets, part.terms, part.weights, first, cursors, self._documents, self._impacts
            )
            first += len(part)


def canonical(block: csr_array[Any], dimensions: int) -> Rows:
    """The block's rows as float32 without zeros, duplicates and terms from `dimensions` on; not changed.

    Raises EvaluationFailed `VECTORS` where a weight is not a finite float32.
    """
    if not block.has_canonical_format:
        block = block.copy()
        block.sum_duplicates()
    weights = block.data.astype(np.float32, copy=False)
    if not np.isfinite(weights).all():
        raise EvaluationFailed("VECTORS", "the model gave sparse vectors that are not finite float32 numbers")
    offsets = block.indptr.astype(np.int64, copy=False)
    terms = block.indices.astype(np.int32, copy=False)
    kept = weights != 0
    if block.shape[1] > dimensions:
        kept &= terms < dimensions
    if kept.all():
        return Rows(offsets, terms, weights)
    before = np.concatenate([[0], np.cumsum(kept)])
    return Rows(before[offsets], terms[kept], weights[kept])


def rows_between(rows: Rows, first: int, last: int) -> Rows:
    offsets = rows.offsets[first : last + 1]
    within = slice(offsets[0], offsets[-1])
    return Rows(offsets - offsets[0], rows.terms[within], rows.weights[within])


def _checked(found: Found) -> Found:
    if len(found.scores) and not (math.isfinite(found.scores[0]) and math.isfinite(found.scores[-1])):
        raise EvaluationFailed("VECTORS", "the vectors are so long that their products leave float32")
    return found


def _offsets(starts: list[NDArray[np.int64]], dimensions: int, postings: int) -> kernels.Offsets:
    offsets_type = np.int32 if postings <= INT32_POSTINGS else np.int64
    offsets = np.zeros((len(starts), dimensions + 1), dtype=offsets_type)
    for segment in reversed(range(len(starts))):
        offsets[segment] = starts.pop()  # one after the other let go: a large vocabulary's table is large
    return offsets


def _merged_where_small(blocks: list[csr_array[Any]]) -> list[csr_array[Any]]:
    """One block of many: a kernel call for each of thousands of single rows would cost more than a copy."""
    return blocks if len(blocks) <= 16 else [csr_array(vstack(blocks, format="csr"))]


def _in_order(
    work: Callable[[Block], list[Found]], blocks: list[Block], threads: int
) -> Iterator[list[Found]]:
    if threads == 1 or len(blocks) <= 1:
        yield from map(work, blocks)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="sparse-search") as pool:
        yield from pool.map(work, blocks)


_scratch = threading.local()


def _untouched(segment_size: int) -> NDArray[np.float64]:
    """This thread's accumulators: the kernel leaves them as it found them, so each thread makes them once."""
    length = math.ceil(segment_size / kernels.LANES) * kernels.LANES
    sums: NDArray[np.float64] | None = getattr(_scratch, "sums", None)
    if sums is None or len(sums) < length:
        sums = np.full(length, kernels.UNTOUCHED)
        _scratch.sums = sums
    return sums
