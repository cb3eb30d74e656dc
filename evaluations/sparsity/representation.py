"""Sparsity of term-based vectors: how many dimensions are active, and what a search over them touches.

Stored zeros are no dimensions: they are removed before anything is counted. Only the judged queries count.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.tracks import Findings, not_applicable

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class VectorCounts:
    """What is counted of some sparse vectors over V dimensions.

    `frequency`: in how many vectors each dimension is non-zero, shape (V,). `active`: non-zeros of each
    vector, shape (vectors,). `l1`: sum of each vector's absolute weights, shape (vectors,).
    """

    frequency: Counts
    active: Counts
    l1: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.active)

    @property
    def dimensions(self) -> int:
        return len(self.frequency)

    @property
    def nonzeros(self) -> int:
        return int(self.frequency.sum())

    @property
    def share(self) -> NDArray[np.float64]:
        """p of each dimension: the share of the vectors in which it is non-zero."""
        return self.frequency / len(self)


def counts_of_rows(matrix: "csr_array[Any]") -> VectorCounts:
    """Of the rows of a matrix (vectors, V)."""
    clean = without_zeros(matrix)
    row_of = np.repeat(np.arange(clean.shape[0]), np.diff(clean.indptr))
    absolute = np.abs(clean.data).astype(np.float64)
    l1 = np.bincount(row_of, weights=absolute, minlength=clean.shape[0]).astype(np.float64, copy=False)
    return VectorCounts(column_counts(clean), np.diff(clean.indptr).astype(np.int64), l1)


def counts_of_postings(
    offsets: NDArray[Any], documents: NDArray[Any], impacts: NDArray[Any], segment_size: int, total: int
) -> VectorCounts:
    """Of `total` documents in an inverted index (evaluations/search/kernels.py says how it lies)."""
    active, l1 = np.zeros(total, dtype=np.int64), np.zeros(total)
    for segment, starts in enumerate(offsets):
        held = slice(int(starts[0]), int(starts[-1]))
        here = slice(segment * segment_size, min((segment + 1) * segment_size, total))
        size = here.stop - here.start
        active[here] = np.bincount(documents[held], minlength=size)
        l1[here] = np.bincount(documents[held], weights=np.abs(impacts[held]), minlength=size)
    frequency = np.diff(offsets, axis=1).sum(axis=0, dtype=np.int64)
    return VectorCounts(frequency, active, l1)


def sparse_profile(queries: "csr_array[Any]", documents: VectorCounts) -> Findings:
    """Everything that is counted of the queries' vectors, shape (queries, V), and the documents'."""
    matrix = without_zeros(queries)
    asked = counts_of_rows(matrix)
    postings = postings_per_query(matrix, documents.frequency)
    return (
        _active_dims("query", asked)
        | _active_dims("document", documents)
        | _vocabulary(documents)
        | Findings(
            {
                "flops": flops(asked.share, documents.share),
                "postings_per_query_mean": float(postings.mean()),
                "postings_per_query_p95": float(np.percentile(postings, 95)),
            },
            details={"vocabulary": documents.dimensions, "postings": documents.nonzeros},
        )
    )


def without_zeros(matrix: "csr_array[Any]") -> "csr_array[Any]":
    """A copy without stored zeros and with duplicates summed; the argument stays as it is."""
    clean = csr_array(matrix, copy=True)
    clean.sum_duplicates()
    clean.eliminate_zeros()
    return clean


def column_counts(matrix: "csr_array[Any]") -> Counts:
    """In how many rows each dimension is stored, shape (V,)."""
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)


def flops(query_share: NDArray[np.float64], document_share: NDArray[np.float64]) -> float:
    """Expected number of terms a query and a document share (SPLADE's FLOPS).

    Both arguments have shape (V,): the share of vectors in which the dimension is non-zero. Weights do not
    count. Not the FLOPS regulariser, which sums squared mean activations; not a count of operations.
    Source: Paria et al. 2020; Formal et al. 2021 (SPLADE).
    """
    return float(query_share @ document_share)


def postings_per_query(queries: "csr_array[Any]", document_frequency: Counts) -> Counts:
    """Sum of the document frequencies, shape (V,), of each query's terms; shape (queries,).

    What an exhaustive term-at-a-time search reads. Its mean equals documents * flops.
    """
    sums = np.concatenate([[0], np.cumsum(document_frequency[queries.indices])])
    found: Counts = sums[queries.indptr[1:]] - sums[queries.indptr[:-1]]
    return found


def gini(counts: Counts) -> float:
    """Inequality of the positive counts: 0 where all are equal, near 1 where a few have nearly everything.

    With x ascending over n counts: 2 sum(i x_i) / (n sum(x)) - (n + 1) / n. Source: Gini 1912, in the form
    of Sen 1973.
    """
    ascending = np.sort(counts[counts > 0]).astype(np.float64)
    places = np.arange(1, len(ascending) + 1)
    weighted = 2 * float(places @ ascending) / (len(ascending) * float(ascending.sum()))
    return weighted - (len(ascending) + 1) / len(ascending)


def _active_dims(side: str, counts: VectorCounts) -> Findings:
    p50, p95 = np.percentile(counts.active, [50, 95])
    return Findings(
        {
            f"{side}_active_dims_mean": counts.nonzeros / len(counts),
            f"{side}_active_dims_p50": float(p50),
            f"{side}_active_dims_p95": float(p95),
            f"{side}_active_dims_max": int(counts.active.max()),
            f"{side}_sparsity_ratio": 1.0 - counts.nonzeros / (len(counts) * counts.dimensions),
            f"{side}_l1_mean": float(counts.l1.mean()),
        }
    )


def _vocabulary(documents: VectorCounts) -> Findings:
    used = int(np.count_nonzero(documents.frequency))
    found = Findings(
        {"vocabulary_used": used, "vocabulary_used_share": used / documents.dimensions},
        details={"document_frequency_skew": "Gini coefficient over the dimensions that a document uses"},
    )
    if not used:
        return found | not_applicable("no document has a term", "document_frequency_gini")
    return found | Findings({"document_frequency_gini": gini(documents.frequency)})
