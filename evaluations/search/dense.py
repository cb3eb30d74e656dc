"""Exact search over dense vectors: float32 selects, float64 decides.

A score is the float64 inner product, rounded to float32. Float32 products differ by position and by block
size, also for identical documents, so they only select: whatever lies within their rounding bound of the
k-th place is computed again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluations.errors import EvaluationFailed
from evaluations.search.order import top_k

QUERY_BLOCK = 64
DOCUMENT_BLOCK = 16_384
_UNIT = 2.0**-24  # the largest relative error of one float32 rounding
_TINY = 2.0**-120  # covers what underflow loses

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """One query's best, in the one order. `rows`: positions in the documents; both of shape (at most k,)."""

    rows: NDArray[np.int64]
    scores: Float32


def search(
    queries: Float32,
    documents: Float32,
    ranks: NDArray[np.int64],
    k: int,
    on_queries_done: Callable[[int], None] = lambda _: None,
) -> list[Found]:
    """The first k documents of each query in the one order, as if all scores were computed in float64.

    `queries` (queries, dimensions) and `documents` (documents, dimensions) are finite float32; `ranks` are
    the documents' `id_ranks`. Memory beyond the arguments: a block of scores and k results a query. Raises
    EvaluationFailed `VECTORS` for vectors that are not finite or whose products leave float32.
    """
    query_norms, document_norms = _norms(queries), _norms(documents)
    _check(query_norms, document_norms)
    bounds = rounding_bounds(query_norms, document_norms.max(initial=0.0), queries.shape[1])
    found = []
    for start in range(0, len(queries), QUERY_BLOCK):
        block = queries[start : start + QUERY_BLOCK]
        found += _search_block(block, documents, ranks, k, bounds[start:])
        on_queries_done(len(block))
    return found


def exact_scores(query: Float32, documents: Float32) -> Float32:
    """Float64 products of a query (dimensions,) with documents (documents, dimensions), in float32.

    By multiplying and summing along rows, whose order of additions does not depend on a row's place, as a
    BLAS product's does: equal documents get equal scores.
    """
    products = documents.astype(np.float64) * query.astype(np.float64)
    scores: Float32 = products.sum(axis=1).astype(np.float32)
    return scores


def rounding_bounds(query_norms: NDArray[np.float64], longest: float, dimensions: int) -> NDArray[np.float64]:
    """How far a float32 product may be from the final score, for each query, shape (queries,).

    n products and n - 1 sums in any order are off by at most gamma_n |x|'|y| <= gamma_n ||x|| ||y||,
    gamma_n = n u / (1 - n u) (Higham 2002, section 3.1); the final rounding adds u |score|. Four more units
    cover the float64 side.
    """
    units = (dimensions + 4) * _UNIT
    return query_norms * longest * (units / (1.0 - units)) + _TINY


def _search_block(
    queries: Float32, documents: Float32, ranks: NDArray[np.int64], k: int, bounds: NDArray[np.float64]
) -> list[Found]:
    best = [Found(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)) for _ in queries]
    for start in range(0, len(documents), DOCUMENT_BLOCK):
        block = documents[start : start + DOCUMENT_BLOCK]
        selected = queries @ block.T
        for place, query in enumerate(queries):
            rows = _candidates(selected[place], best[place], k, bounds[place])
            if len(rows):
                fresh = Found(rows + start, exact_scores(query, block[rows]))
                best[place] = _merged(best[place], fresh, ranks, k)
    return best


def _candidates(selected: Float32, best: Found, k: int, bound: float) -> NDArray[np.int64]:
    """Rows of a block that may be among the first k, given the best so far and the float32 products."""
    if len(best.rows) == k:
        # The k-th score is final, only the newcomers' products are uncertain.
        return np.flatnonzero(selected >= np.float64(best.scores[-1]) - bound)
    if len(selected) <= k:
        return np.arange(len(selected))
    kth = np.partition(selected, len(selected) - k)[len(selected) - k]
    return np.flatnonzero(selected >= np.float64(kth) - 2.0 * bound)


def _merged(best: Found, fresh: Found, ranks: NDArray[np.int64], k: int) -> Found:
    rows = np.concatenate([best.rows, fresh.rows])
    scores = np.concatenate([best.scores, fresh.scores])
    kept = top_k(scores, ranks[rows], k)
    return Found(rows[kept], scores[kept])


def _norms(vectors: Float32) -> NDArray[np.float64]:
    """Euclidean norms in float64, shape (vectors,), a block at a time."""
    blocks = (vectors[start : start + DOCUMENT_BLOCK] for start in range(0, len(vectors), DOCUMENT_BLOCK))
    norms = [np.linalg.norm(block.astype(np.float64), axis=1) for block in blocks]
    return np.concatenate(norms) if norms else np.empty(0)


def _check(query_norms: NDArray[np.float64], document_norms: NDArray[np.float64]) -> None:
    for name, norms in (("query", query_norms), ("document", document_norms)):
        if not np.isfinite(norms).all():
            raise EvaluationFailed("VECTORS", f"the model gave {name} vectors that are not finite numbers")
    if query_norms.max(initial=0.0) * document_norms.max(initial=0.0) > np.finfo(np.float32).max / 2:
        raise EvaluationFailed("VECTORS", "the vectors are so long that their products leave float32")
