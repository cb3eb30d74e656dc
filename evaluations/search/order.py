"""The one order of results: score descending, then document id descending by its UTF-8 bytes.

The cut at the depth uses the same order, so that which of several tied documents is kept never depends on
the order of the corpus.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def id_ranks(document_ids: Sequence[str]) -> NDArray[np.int64]:
    """Place of each id, shape (documents,), when ids are sorted ascending by UTF-8 bytes.

    Python compares strings by code points, which is the order of their UTF-8 bytes.
    """
    ascending = sorted(range(len(document_ids)), key=document_ids.__getitem__)
    ranks = np.empty(len(document_ids), dtype=np.int64)
    ranks[ascending] = np.arange(len(document_ids))
    return ranks


def top_k(scores: NDArray[np.float32], ranks: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Positions of the first k of `scores`, shape (documents,), in the one order; `ranks` as from `id_ranks`.

    Fewer where there are fewer. NaN has no place in an order: the caller refuses it before.
    """
    if k <= 0 or not len(scores):
        return np.empty(0, dtype=np.int64)
    kept = np.arange(len(scores))
    if len(scores) > k:
        at_the_cut = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= at_the_cut)  # all that tie at the cut: their ids decide
    in_order = np.lexsort((-ranks[kept], -scores[kept]))
    return kept[in_order[:k]]
