"""The usual measures, from where judged documents stand in the rankings and nothing else.

ir-measures must be given every document of every ranking as a dict, which takes most of its time: of a
thousand documents a few are judged. Additions are made in trec_eval's order, so values are its own, bit for
bit (tests compare them with pytrec_eval's).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from evaluations.retrieval.measures import Measure
from evaluations.systems.base import RankedList

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Ranked:
    """Documents at their ranks, from 1, for many queries in one: three arrays of one length.

    `query` ascends, and `rank` within a query. `grade` as judged.
    """

    query: Int64
    rank: Int64
    grade: Int64

    def first(self, cutoff: int, least_grade: int) -> "Ranked":
        kept = (self.rank <= cutoff) & (self.grade >= least_grade)
        return Ranked(self.query[kept], self.rank[kept], self.grade[kept])


@dataclass(frozen=True)
class Judgements:
    """What the judgements of `queries` queries say of their rankings.

    `judged`: the judged documents that were found. `ideal`: all relevant documents, best first. `lengths` of
    the rankings and number of `relevant` documents, found or not, have shape (queries,).
    """

    judged: Ranked
    ideal: Ranked
    lengths: Int64
    relevant: Int64

    def totals(self, documents: Ranked, weights: Float64 | None = None) -> Float64:
        """For each query the sum of its documents' weights, added by ascending rank; else their number."""
        return np.bincount(documents.query, weights, minlength=len(self.lengths)).astype(np.float64)


def judgements(lists: Sequence[RankedList], grades: Sequence[Mapping[str, int]]) -> Judgements:
    """Of rankings in the one order and each one's judgements."""
    places = [_places(ranked.document_ids, judged) for ranked, judged in zip(lists, grades, strict=True)]
    found = [
        [judged[ranked.document_ids[place]] for place in own]
        for ranked, judged, own in zip(lists, grades, places, strict=True)
    ]
    ideal = [sorted((grade for grade in judged.values() if grade > 0), reverse=True) for judged in grades]
    return Judgements(
        _flat(found, [[place + 1 for place in own] for own in places]),
        _flat(ideal, [range(1, len(own) + 1) for own in ideal]),
        _array([len(ranked) for ranked in lists]),
        _array([len(own) for own in ideal]),
    )


def formula(measure: Measure) -> Callable[[Judgements], Float64] | None:
    """The measure's values (queries,) as a function; None where it is not one of these, or has more to it."""
    known = _FORMULAS.get(measure.NAME)
    if known is None or set(measure.params) != {"cutoff"}:
        return None
    cutoff = int(measure.params["cutoff"])
    return lambda given: known(given, cutoff)


def ndcg(given: Judgements, cutoff: int) -> Float64:
    """DCG over the ideal DCG; DCG = sum of grade / log2(rank + 1). 0 where nothing is relevant.

    The gain is the grade, as in trec_eval, not 2^grade - 1. Source: Järvelin and Kekäläinen 2002.
    """
    reached, ideal = (_dcg(given, documents, cutoff) for documents in (given.judged, given.ideal))
    return _over(reached, ideal)


def recall(given: Judgements, cutoff: int) -> Float64:
    """Relevant documents in the first `cutoff` over all relevant ones. Not BEIR's capped recall."""
    return _over(given.totals(given.judged.first(cutoff, 1)), given.relevant)


def precision(given: Judgements, cutoff: int) -> Float64:
    """Relevant documents in the first `cutoff` over `cutoff`, also where fewer were found."""
    return given.totals(given.judged.first(cutoff, 1)) / cutoff


def reciprocal_rank(given: Judgements, cutoff: int) -> Float64:
    """1 / rank of the first relevant document, 0 where it is not among the first `cutoff`."""
    relevant = given.judged.first(cutoff, 1)
    values = np.zeros(len(given.lengths))
    queries, firsts = np.unique(relevant.query, return_index=True)
    values[queries] = 1.0 / relevant.rank[firsts]
    return values


def average_precision(given: Judgements, cutoff: int) -> Float64:
    """Sum of the precision at each relevant document in the first `cutoff`, over all relevant ones."""
    relevant = given.judged.first(cutoff, 1)
    counts = given.totals(relevant).astype(np.int64)
    before = np.cumsum(counts) - counts
    place = np.arange(len(relevant.query)) - before[relevant.query] + 1
    return _over(given.totals(relevant, place / relevant.rank), given.relevant)


def judged_share(given: Judgements, cutoff: int) -> Float64:
    """Share of the first `cutoff`, or of as many as there are, that have a judgement of any grade."""
    judged = given.judged.rank <= cutoff
    counts = np.bincount(given.judged.query[judged], minlength=len(given.lengths))
    return _over(counts, np.minimum(given.lengths, cutoff))


_FORMULAS: Mapping[str, Callable[[Judgements, int], Float64]] = {
    "nDCG": ndcg,
    "R": recall,
    "P": precision,
    "RR": reciprocal_rank,
    "AP": average_precision,
    "Judged": judged_share,
}


def _places(document_ids: Sequence[str], judged: Mapping[str, int]) -> list[int]:
    """Where judged documents are. This one loop is over all documents; `map` keeps it out of Python."""
    return [place for place, is_judged in enumerate(map(judged.__contains__, document_ids)) if is_judged]


def _dcg(given: Judgements, documents: Ranked, cutoff: int) -> Float64:
    gaining = documents.first(cutoff, 1)
    return given.totals(gaining, gaining.grade / _logarithms(cutoff)[gaining.rank])


def _logarithms(cutoff: int) -> Float64:
    """log2(rank + 1) at each rank, by the C library as in trec_eval: numpy's may differ in its last bit."""
    return np.array([math.log2(rank + 1) for rank in range(cutoff + 1)])


def _over(values: NDArray[np.float64 | np.int64], by: NDArray[np.float64 | np.int64]) -> Float64:
    quotients = np.zeros(len(values))
    np.divide(values, by, out=quotients, where=by > 0)
    return quotients


def _flat(grades: Sequence[Sequence[int]], ranks: Sequence[Sequence[int]]) -> Ranked:
    query = np.repeat(np.arange(len(grades)), [len(own) for own in grades])
    return Ranked(query, _array(chain.from_iterable(ranks)), _array(chain.from_iterable(grades)))


def _array(numbers: "Sequence[int] | chain[int]") -> Int64:
    return np.fromiter(numbers, dtype=np.int64)
