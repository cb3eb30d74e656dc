"""What a system made of a dataset, in whichever form, and the exact search over it.

A sweep changes the vectors and searches again: what is found is what a system with such vectors would find.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.search.maxsim import TokenVectors
from evaluations.search.order import id_ranks
from evaluations.systems.base import RankedList, Run

if TYPE_CHECKING:
    from evaluations.search.dense import DenseIndex
    from evaluations.search.found import Found
    from evaluations.search.sparse import SparseIndex

Float32 = NDArray[np.float32]
Form = Literal["dense", "sparse", "multi-vector"]
Vectors = Any  # float32 (texts, dimensions), csr_array (texts, dimensions) or TokenVectors

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Encoded:
    """The vectors of documents and queries, of one form, in the order of their ids.

    `mean`: of several vectors a text, whether scores are divided by the number of the query's.
    """

    form: Form
    document_ids: Sequence[str]
    documents: Vectors
    query_ids: Sequence[str]
    queries: Vectors
    mean: bool = False

    @property
    def rows(self) -> Float32:
        """The documents' dense vectors, shape (vectors, dimensions); several a document where it has them."""
        found: Float32 = self.documents.vectors if self.form == "multi-vector" else self.documents
        return found

    @property
    def query_rows(self) -> Float32:
        found: Float32 = self.queries.vectors if self.form == "multi-vector" else self.queries
        return found

    def with_rows(self, documents: Float32, queries: Float32 | None = None) -> "Encoded":
        """The same texts with other dense vectors, row by row."""
        if self.form != "multi-vector":
            own = self.queries if queries is None else queries
            return self._with(documents, own)
        changed = TokenVectors(documents, self.documents.offsets)
        own = self.queries if queries is None else TokenVectors(queries, self.queries.offsets)
        return self._with(changed, own)

    def _with(self, documents: Vectors, queries: Vectors) -> "Encoded":
        return Encoded(self.form, self.document_ids, documents, self.query_ids, queries, self.mean)

    with_vectors = _with

    def require(self, *forms: Form) -> None:
        """Raises EvaluationError `SWEEP-KIND` for vectors of another form."""
        if self.form not in forms:
            wanted = " or ".join(forms)
            raise EvaluationError(
                "SWEEP-KIND", f"these vectors are {self.form}; the sweep is of {wanted} ones"
            )


def is_unit(rows: Float32) -> bool:
    """Whether the vectors have length 1, as those compared by cosine do; zero vectors do not count."""
    norms = np.linalg.norm(rows, axis=1)
    filled = norms[norms > 0]
    return bool(len(filled)) and bool(np.abs(filled - 1.0).max() < UNIT_TOLERANCE)


def require_something(encoded: Encoded) -> None:
    """Raises EvaluationError `SWEEP-ZEROS` where all vectors of a side are zero: nothing could be ranked."""
    for side, vectors in (("documents", encoded.documents), ("queries", encoded.queries)):
        if not _has_weight(encoded.form, vectors):
            raise EvaluationError("SWEEP-ZEROS", f"all vectors of the {side} are zero at this point")


def _has_weight(form: Form, vectors: Vectors) -> bool:
    if form == "sparse":
        return bool(np.any(vectors.data))
    return bool(np.any(vectors.vectors if form == "multi-vector" else vectors))


class Searcher:
    """Searches encoded texts; what it made of the documents serves the next point where they are the same.

    Found is what the system itself would find: every search is exact, on either device.
    """

    def __init__(self, threads: int | None = None, device: str = "cpu") -> None:
        self._threads = threads
        self._device = device
        self._indexed: Vectors = None
        self._index: SparseIndex

    def run(self, encoded: Encoded, depth: int, progress: Progress) -> Run:
        """The first `depth` documents of each query, in the one order."""
        with progress.stage("searching", total=len(encoded.query_ids)):
            found = self._found(encoded, depth, progress)
        ids = encoded.document_ids
        return Run(
            {
                query_id: RankedList([ids[row] for row in best.rows], best.scores)
                for query_id, best in zip(encoded.query_ids, found, strict=True)
            }
        )

    def index(self, encoded: Encoded) -> "SparseIndex":
        """The inverted index of sparse documents."""
        from evaluations.search.sparse import SparseIndex  # here, since it brings numba

        if self._indexed is not encoded.documents:
            self._index = SparseIndex.build(csr_array(encoded.documents), id_ranks(encoded.document_ids))
            self._indexed = encoded.documents
        return self._index

    def _found(self, encoded: Encoded, depth: int, progress: Progress) -> "list[Found]":
        if encoded.form == "multi-vector":
            from evaluations.search import maxsim

            return maxsim.search(
                encoded.queries, encoded.documents, id_ranks(encoded.document_ids), depth,
                mean=encoded.mean, on_queries_done=progress.advance,
            )  # fmt: skip
        index: Any = self.index(encoded) if encoded.form == "sparse" else self._dense(encoded)
        if self._device == "cpu":
            found: list[Found] = index.search(encoded.queries, depth, self._threads, progress.advance)
            return found
        return _on_device(index, encoded, self._device, depth, progress)

    def _dense(self, encoded: Encoded) -> "DenseIndex":
        from evaluations.search.dense import DenseIndex  # here, since it brings numba

        return DenseIndex.build(encoded.documents, id_ranks(encoded.document_ids), self._threads)


def _on_device(index: Any, encoded: Encoded, device: str, depth: int, progress: Progress) -> "list[Found]":
    from evaluations.search.dense_torch import TorchDenseIndex
    from evaluations.search.sparse_torch import TorchSparseIndex

    form: Any = TorchSparseIndex if encoded.form == "sparse" else TorchDenseIndex
    found: list[Found] = form.from_index(index, device).search(encoded.queries, depth, progress.advance)
    return found
