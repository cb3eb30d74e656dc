"""What a term scores in a document: bm25s's formulas, applied to a batch of documents at a time.

bm25s itself takes the whole corpus as Python lists and walks it document by document. The impacts made here
are its own to the last bit; a test holds them to that.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.systems.base import Value
from evaluations.systems.bm25_counts import Counts

DELTA = 0.5  # of BM25L and BM25+, as bm25s has it
WITH_ABSENT_SCORES = ("bm25l", "bm25+")


class Formula:
    """One of bm25s's variants over one corpus.

    BM25L and BM25+ give a term a score in documents that lack it: `absent`, shape (terms,), float32. Impacts
    then hold what a document scores above it, so that they stay sparse. `absent` is None for the others.
    """

    def __init__(
        self, options: Mapping[str, Value], frequency: NDArray[np.int64], documents: int, mean: float
    ) -> None:
        from bm25s import scoring

        method = str(options["method"])
        self._options = {"k1": options["k1"], "b": options["b"], "delta": DELTA, "l_avg": mean}
        self._saturation = scoring._select_tfc_scorer(method)
        idf = _by_frequency(scoring._select_idf_scorer(method), frequency, documents)
        self._idf = idf.astype(np.float32)
        self.absent: NDArray[np.float32] | None = None
        if method in WITH_ABSENT_SCORES and mean:
            saturation = self._saturation(tf_array=0, l_d=mean, **self._options)
            self.absent = (idf * saturation).astype(np.float32)

    def impacts(self, counts: Counts) -> csr_array:
        """Shape (documents, terms), float32: computed in float64 and rounded once."""
        rows = np.diff(counts.offsets)
        lengths = np.repeat(counts.lengths.astype(np.float64), rows)
        scores = self._idf[counts.terms] * self._saturation(
            tf_array=counts.frequencies, l_d=lengths, **self._options
        )
        if self.absent is not None:
            scores -= self.absent[counts.terms]
        places = (scores.astype(np.float32), counts.terms, counts.offsets)
        return csr_array(places, shape=(len(rows), len(self._idf)))


def _by_frequency(
    idf: Callable[..., float], frequency: NDArray[np.int64], documents: int
) -> NDArray[np.float64]:
    """Once for each document frequency that occurs: the formulas are of single numbers. 0 for none."""
    distinct, places = np.unique(frequency, return_inverse=True)
    values = [idf(int(df), N=documents) if df else 0.0 for df in distinct]
    return np.array(values, dtype=np.float64)[places]
