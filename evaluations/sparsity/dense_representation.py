"""Sparsity of dense vectors: components that hardly count, and how many directions the vectors fill."""

import math

import numpy as np
from numpy.typing import NDArray

from evaluations.tracks import Findings, not_applicable

NEAR_ZERO = 1e-3  # of the root mean square
SAMPLE = 10_000  # vectors: the spectrum of more is the same for less
BLOCK = 4096

Matrix = NDArray[np.float32]


def dense_profile(vectors: Matrix) -> Findings:
    """Of the documents' vectors, shape (vectors, dimensions); of a fixed sample where there are many."""
    sample = evenly(vectors, SAMPLE)
    found = Findings(details={"vectors_sampled": len(sample)})
    if not len(sample) or not np.any(sample):
        return found | not_applicable("every vector is zero", "near_zero_components_share", "effective_rank")
    return found | Findings(
        {
            "near_zero_components_share": near_zeros_share(sample),
            "effective_rank": effective_rank(sample),
        }
    )


def evenly(vectors: Matrix, most: int) -> Matrix:
    """At most so many rows, evenly spaced: the same rows whenever it is asked."""
    if len(vectors) <= most:
        return vectors
    return vectors[np.linspace(0, len(vectors) - 1, most).astype(np.int64)]


def near_zeros_share(vectors: Matrix) -> float:
    """Share of components with |x| < 1e-3 of the root mean square of all components."""
    starts = range(0, len(vectors), BLOCK)
    squares = sum(float((vectors[i : i + BLOCK].astype(np.float64) ** 2).sum()) for i in starts)
    limit = NEAR_ZERO * math.sqrt(squares / vectors.size)
    near = sum(int(np.count_nonzero(np.abs(vectors[i : i + BLOCK]) < limit)) for i in starts)
    return near / vectors.size


def effective_rank(vectors: Matrix) -> float:
    """exp of the entropy of the normalised singular values: 1 for one direction, `dimensions` for all alike.

    The vectors are not centred. The singular values are the roots of the eigenvalues of the Gram matrix
    (dimensions, dimensions), in float64. Source: Roy and Vetterli 2007.
    """
    gram = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK].astype(np.float64)
        gram += block.T @ block
    eigenvalues = np.linalg.eigvalsh(gram)
    rounding = eigenvalues[-1] * len(gram) * np.finfo(np.float64).eps
    singular = np.sqrt(eigenvalues[eigenvalues > rounding])
    shares = singular / singular.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
