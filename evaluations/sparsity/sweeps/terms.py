"""Keeping the weightiest terms of sparse vectors."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from evaluations.sparsity.representation import without_zeros

Matrix = Any  # csr_array (texts, terms)


def most_weighty(vectors: Matrix, k: int) -> Matrix:
    """Each row with its k entries of greatest magnitude; the argument stays as it is.

    Of equal magnitudes those of lower term numbers are kept, wherever the cut falls.
    """
    clean = without_zeros(vectors)
    clean.sort_indices()
    row_of = np.repeat(np.arange(clean.shape[0]), np.diff(clean.indptr))
    # Stable in its last key: rows, then magnitudes falling, then terms rising.
    order = np.lexsort((clean.indices, -np.abs(clean.data), row_of))
    place_in_row = np.arange(clean.nnz) - clean.indptr[row_of]
    kept = np.sort(order[place_in_row < k])
    offsets = np.zeros(clean.shape[0] + 1, dtype=np.int64)
    np.cumsum(np.minimum(np.diff(clean.indptr), k), out=offsets[1:])
    return csr_array((clean.data[kept], clean.indices[kept], offsets), shape=clean.shape)


def longest(vectors: Matrix) -> int:
    """Terms of the row that has most: keeping as many changes nothing."""
    return int(np.diff(without_zeros(vectors).indptr).max(initial=0))


def kept_share(changed: Matrix, original: Matrix) -> float:
    """Non-zeros that are left, as a share of those that were there."""
    before = without_zeros(original).nnz
    return float(without_zeros(changed).nnz / before) if before else 1.0
