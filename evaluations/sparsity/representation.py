"""Sparsity of term-based vectors: how many dimensions are active, and what a search over them touches."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.tracks import Findings


def representation(queries: csr_array, documents: csr_array) -> Findings:
    """The profile of sparse vectors, shapes (queries, V) and (documents, V).

    Stored zeros are no dimensions: they are removed first. Only the judged queries are to be given.
    """
    return profile(queries, column_counts(without_zeros(documents)), documents.shape[0])


def profile(queries: csr_array, document_frequency: NDArray[np.int64], documents: int) -> Findings:
    """The same where an index took the documents' vectors.

    `document_frequency`: in how many of the documents each dimension is non-zero, shape (V,).
    """
    query_matrix = without_zeros(queries)
    query_frequency = column_counts(query_matrix)
    postings, vocabulary = int(document_frequency.sum()), len(document_frequency)
    return Findings(
        {
            "query_active_dims_mean": active_dims_mean(query_matrix),
            "document_active_dims_mean": float(postings / documents),
            "query_sparsity_ratio": sparsity_ratio(query_matrix),
            "document_sparsity_ratio": float(1.0 - postings / (documents * vocabulary)),
            "flops": flops(query_frequency / query_matrix.shape[0], document_frequency / documents),
            "postings_per_query_mean": postings_per_query_mean(query_matrix, document_frequency),
        },
        details={"vocabulary": vocabulary, "postings": postings},
    )


def without_zeros(matrix: csr_array) -> csr_array:
    """A copy without stored zeros and with duplicates summed; the argument stays as it is."""
    clean = csr_array(matrix, copy=True)
    clean.sum_duplicates()
    clean.eliminate_zeros()
    return clean


def column_counts(matrix: csr_array) -> NDArray[np.int64]:
    """In how many rows each dimension is stored, shape (V,)."""
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)


def active_dims_mean(matrix: csr_array) -> float:
    """Mean number of non-zero dimensions of a row."""
    return float(matrix.nnz / matrix.shape[0])


def sparsity_ratio(matrix: csr_array) -> float:
    """1 - nnz / V, mean over the rows: the share of a vector's dimensions that are zero."""
    rows, dimensions = matrix.shape
    return float(1.0 - matrix.nnz / (rows * dimensions))


def flops(query_share: NDArray[np.float64], document_share: NDArray[np.float64]) -> float:
    """Expected number of terms a query and a document share (SPLADE's FLOPS).

    Both arguments have shape (V,): the share of vectors in which the dimension is non-zero. Weights do not
    count. Not the FLOPS regulariser, which sums squared mean activations; not a count of operations.
    Source: Paria et al. 2020; Formal et al. 2021 (SPLADE).
    """
    return float(query_share @ document_share)


def postings_per_query_mean(queries: csr_array, document_frequency: NDArray[np.int64]) -> float:
    """Mean over queries of the sum of the document frequencies, shape (V,), of the query's terms.

    What an exhaustive term-at-a-time search reads. Equals documents * flops.
    """
    return float(document_frequency[queries.indices].sum() / queries.shape[0])
