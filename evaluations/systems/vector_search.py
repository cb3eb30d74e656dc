"""Exact search over vectors that were encoded elsewhere, dense or sparse, read from their files."""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from evaluations.errors import EvaluationError
from evaluations.search.found import Found, SparseQuery
from evaluations.search.order import id_ranks
from evaluations.sparsity.dense_representation import dense_profile
from evaluations.sparsity.expansion import no_expansion
from evaluations.sparsity.storage import dense_storage
from evaluations.systems import vector_files
from evaluations.systems.abilities import IndexForm
from evaluations.systems.vector_files import DenseVectors, Meta, Selection, VectorLimits
from evaluations.tracks import Findings

if TYPE_CHECKING:
    from evaluations.search.dense import DenseIndex

Advance = Callable[[int], None]


class Searcher(Protocol):
    """Searches vectors of one form. `wanted` None: all ids of the file count."""

    @property
    def suffixes(self) -> tuple[str, ...]: ...

    @property
    def form(self) -> IndexForm: ...

    def index(self, path: Path, wanted: Collection[str] | None) -> Selection: ...

    def read_queries(self, path: Path, wanted: Collection[str]) -> Selection:
        """Row i of `query_vectors` is then that of the i-th id."""

    def search(self, k: int, on_done: Advance) -> list[Found]:
        """For all queries that were read."""

    def each_query(self) -> Sequence[Any]:
        """The queries that were read, each as `search_one` and approximate engines take it."""

    def search_one(self, k: int, threads: int) -> Callable[[Any], Found]: ...

    def build(self, threads: int) -> Sequence[NDArray[Any]]:
        """The index made anew of the vectors: all arrays that it holds."""

    def findings(self) -> Findings: ...

    @property
    def document_vectors(self) -> Any: ...

    @property
    def query_vectors(self) -> Any: ...


class DenseSearcher:
    """Exact search over float32 vectors; whatever they are stored in becomes that."""

    suffixes = vector_files.DENSE
    form: IndexForm = "dense"

    def __init__(self, meta: Meta, limits: VectorLimits, threads: int | None) -> None:
        self._meta = meta
        self._limits = limits
        self._threads = threads

    def index(self, path: Path, wanted: Collection[str] | None) -> Selection:
        found = self._read(path, wanted)
        self.document_vectors = found.matrix
        self._ranks = id_ranks(found.selection.ids)
        return found.selection

    def read_queries(self, path: Path, wanted: Collection[str]) -> Selection:
        queries = self._read(path, wanted)
        self.query_vectors = queries.matrix
        return queries.selection

    def search(self, k: int, on_done: Advance) -> list[Found]:
        return self._built(self._threads).search(self.query_vectors, k, self._threads, on_done)

    def each_query(self) -> Sequence[Any]:
        return [self.query_vectors[row : row + 1] for row in range(len(self.query_vectors))]

    def search_one(self, k: int, threads: int) -> Callable[[Any], Found]:
        index = self._built(threads)
        return lambda vectors: index.search(vectors, k, threads)[0]

    def build(self, threads: int) -> Sequence[NDArray[Any]]:
        return self._built(threads).arrays

    def findings(self) -> Findings:
        return dense_storage(*self.document_vectors.shape) | dense_profile(self.document_vectors)

    def _built(self, threads: int | None) -> "DenseIndex":
        from evaluations.search.dense import DenseIndex  # here, since it brings numba

        return DenseIndex.build(self.document_vectors, self._ranks, threads)

    def _read(self, path: Path, wanted: Collection[str] | None) -> DenseVectors:
        unit = self._meta.similarity == "cosine"
        return vector_files.read_dense(path, self._meta.dimensions, wanted, self._limits, unit=unit)


class SparseSearcher:
    """Exact search over float32 postings, of lines with tokens or of a matrix."""

    form: IndexForm = "sparse"

    def __init__(
        self,
        meta: Meta,
        limits: VectorLimits,
        suffixes: tuple[str, ...],
        threads: int | None,
    ) -> None:
        self.suffixes = suffixes
        self._meta = meta
        self._limits = limits
        self._threads = threads
        self._vocabulary = vector_files.Vocabulary(meta.dimensions)

    def index(self, path: Path, wanted: Collection[str] | None) -> Selection:
        from evaluations.search.sparse import IndexBuilder  # here, since it brings numba

        selection, blocks = self._read(path, wanted)
        builder = IndexBuilder(self._meta.dimensions)
        for block in blocks:
            builder.add(block)
        self._index = builder.finish(id_ranks(selection.ids))
        return selection

    def read_queries(self, path: Path, wanted: Collection[str]) -> Selection:
        selection, blocks = self._read(path, wanted)
        empty = csr_array((0, self._meta.dimensions), dtype=np.float32)
        self.query_vectors = csr_array(vstack([empty, *blocks], format="csr"))
        return selection

    def search(self, k: int, on_done: Advance) -> list[Found]:
        return self._index.search(self.query_vectors, k, self._threads, on_done)

    def each_query(self) -> Sequence[Any]:
        from evaluations.search.sparse import canonical  # here, as above

        rows = canonical(self.query_vectors, self._index.dimensions)
        parts = [slice(*ends) for ends in pairwise(rows.offsets.tolist())]
        return [SparseQuery(rows.terms[part], rows.weights[part]) for part in parts]

    def search_one(self, k: int, threads: int) -> Callable[[Any], Found]:
        """One query's search is one thread's work."""
        return lambda query: self._index.search_one(query.terms, query.weights, k)

    def build(self, threads: int) -> Sequence[NDArray[Any]]:
        return self._index.rebuilt().arrays

    @property
    def document_vectors(self) -> "csr_array[Any]":
        return self._index.matrix()

    def findings(self) -> Findings:
        """Columns of a matrix are dimensions of the encoder; tokens of lines are numbered as they come."""
        from evaluations.sparsity.postings import index_profile  # here, as above

        same = self.suffixes == vector_files.SPARSE_MATRIX
        found = index_profile(self._index, self.query_vectors, same_dimensions=same)
        return found | no_expansion("vectors say nothing of the texts behind them")

    def _read(self, path: Path, wanted: Collection[str] | None) -> tuple[Selection, Iterator[csr_array]]:
        if path.suffix in vector_files.SPARSE_MATRIX:
            matrix = vector_files.read_csr(path, self._meta.dimensions, wanted, self._limits)
            selection, blocks = matrix.selection, matrix.blocks
        else:
            selection = Selection(path, wanted)
            blocks = vector_files.read_jsonl(path, self._vocabulary, selection, self._limits)
        return selection, map(_unit_rows, blocks) if self._meta.similarity == "cosine" else blocks


def searcher_for(path: Path, meta: Meta, limits: VectorLimits, threads: int | None) -> Searcher:
    """Of the form that a file of documents has. Raises EvaluationError `VECTORS-SIZE`."""
    suffix = vector_files.suffix_of(path)
    if suffix in vector_files.DENSE:
        return DenseSearcher(meta, limits, threads)
    if meta.dimensions > limits.sparse_dimensions:
        problem = (
            f"meta.json: {meta.dimensions:,} dimensions; at most {limits.sparse_dimensions:,} are searched"
        )
        raise EvaluationError("VECTORS-SIZE", problem)
    alike = vector_files.SPARSE_MATRIX if suffix in vector_files.SPARSE_MATRIX else vector_files.SPARSE_LINES
    return SparseSearcher(meta, limits, alike, threads)


def _unit_rows(block: csr_array) -> csr_array:
    """Rows divided by their length; a row without weights stays."""
    row_of = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    wide: NDArray[np.float64] = block.data.astype(np.float64)
    norms = np.sqrt(np.bincount(row_of, weights=wide**2, minlength=block.shape[0]))
    divided = wide / np.where(norms > 0, norms, 1.0)[row_of]
    return csr_array((divided.astype(np.float32), block.indices, block.indptr), shape=block.shape)
