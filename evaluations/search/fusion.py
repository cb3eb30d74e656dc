"""One ranking of several: scores are put on one scale, weighted and added. Definitions in docs/protocol.md.

All arithmetic is float64, in the members' order; only the sum is rounded to float32.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluations.protocol import DEPTH
from evaluations.search.order import id_ranks, top_k

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
List = tuple[Sequence[str], Float32]  # a query's documents in the one order, and their scores


@dataclass(frozen=True)
class Scaled:
    """A list on a scale. `scores`, shape (documents,), in the list's order; `absent`: that of all others."""

    scores: Float64
    absent: float


def min_max(scores: Float64) -> Scaled:
    """(s - min) / (max - min); absent documents have the minimum's value, 0.

    Where all scores are equal, or there is one or none, the list tells nothing apart: 0 for all.
    """
    if not len(scores) or scores.min() == scores.max():
        return _nothing(scores)
    return Scaled((scores - scores.min()) / (scores.max() - scores.min()), 0.0)


def z_score(scores: Float64) -> Scaled:
    """(s - mean) / standard deviation, of the population; absent documents have the minimum's value.

    0 for all where all scores are equal, or there is one or none.
    """
    if not len(scores) or scores.min() == scores.max():
        return _nothing(scores)
    scaled: Float64 = (scores - float(scores.mean())) / float(scores.std())
    return Scaled(scaled, float(scaled.min()))


def rank(scores: Float64) -> Scaled:
    """1 - (rank - 1) / 1000, whatever the scores are; absent documents have 0, what rank 1001 would have."""
    return Scaled(1.0 - np.arange(len(scores), dtype=np.float64) / DEPTH, 0.0)


def reciprocal_rank(scores: Float64, k: float) -> Scaled:
    """1 / (k + rank); absent documents have 0. Source: Cormack, Clarke, Buettcher 2009 (k = 60)."""
    return Scaled(1.0 / (k + 1.0 + np.arange(len(scores), dtype=np.float64)), 0.0)


NORMALISATIONS: Mapping[str, Callable[[Float64], Scaled]] = {
    "min-max": min_max,
    "z-score": z_score,
    "rank": rank,
}


def fuse(
    lists: Sequence[List], weights: Sequence[float], scale: Callable[[Float64], Scaled], depth: int
) -> List:
    """The weighted sum of the scaled lists, over the union of their documents, in the one order, cut.

    `lists` are of one query, each in the one order; `weights` has one for each.
    """
    places: dict[str, int] = {}
    for document_ids, _ in lists:
        for document_id in document_ids:
            places.setdefault(document_id, len(places))
    total = np.zeros(len(places))
    for (document_ids, scores), weight in zip(lists, weights, strict=True):
        scaled = scale(scores.astype(np.float64))
        column = np.full(len(places), scaled.absent)
        column[[places[document_id] for document_id in document_ids]] = scaled.scores
        total += weight * column
    documents = list(places)
    fused = total.astype(np.float32)
    best = top_k(fused, id_ranks(documents), depth)
    return [documents[place] for place in best], fused[best]


def _nothing(scores: Float64) -> Scaled:
    return Scaled(np.zeros(len(scores)), 0.0)
