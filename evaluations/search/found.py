"""What a search over postings takes, what every search gives, and how far float32 products may be off.

Brings no compiler.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluations.errors import EvaluationFailed

_UNIT = 2.0**-24  # the largest relative error of one float32 rounding
_TINY = 2.0**-120  # covers what underflow loses


@dataclass(frozen=True)
class Found:
    """One query's best, in the one order. `rows`: positions in the documents; both of shape (at most k,)."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


NOTHING = Found(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


@dataclass(frozen=True)
class SparseQuery:
    """Distinct terms, and their weights, none of which is 0; both of shape (terms,)."""

    terms: NDArray[np.int32]
    weights: NDArray[np.float32]


def rounding_bounds(query_norms: NDArray[np.float64], longest: float, dimensions: int) -> NDArray[np.float64]:
    """How far a float32 product may be from the final score, for each query, shape (queries,).

    `longest` is the norm of the longest document. n products and n - 1 sums in any order are off by at most
    gamma_n |x|'|y| <= gamma_n ||x|| ||y||, gamma_n = n u / (1 - n u) (Higham 2002, section 3.1); the final
    rounding adds u |score|. Four more units cover the float64 side.
    """
    units = (dimensions + 4) * _UNIT
    return query_norms * longest * (units / (1.0 - units)) + _TINY


def require_finite(name: str, norms: NDArray[np.float64]) -> None:
    """Raises EvaluationFailed `VECTORS` where a norm of the `name` vectors is not a finite number."""
    if not np.isfinite(norms).all():
        raise EvaluationFailed("VECTORS", f"the model gave {name} vectors that are not finite numbers")


def require_range(largest: float) -> None:
    """`largest`: a bound of all scores. Raises EvaluationFailed `VECTORS` where float32 may not hold them."""
    if largest > np.finfo(np.float32).max / 2:
        raise EvaluationFailed("VECTORS", "the vectors are so long that their products leave float32")
