"""Compiled loops of the sparse search. They run without the interpreter's lock and are cached on disk.

Three conventions hold everywhere here:

- Postings are grouped by *segment* (a run of consecutive documents), inside it by term, inside it by
  document. A document's place in its segment fits 16 bits, and the segment's accumulators fit the
  processor's second cache.
- An accumulator that nothing was added to holds -0.0. No sum of non-zero products is -0.0 (a product of two
  float32 never underflows in float64, and x + -x is +0.0), so it tells "no shared term" from "sum is zero".
- A result is one unsigned number, its *key*: the score in the upper half, mapped so that keys sort as scores
  do, and the rank of the document's id in the lower half. Comparing keys is the one order. 0 is no key.
- The best of a query gather in a buffer of more than k places. When it is full, the k best move to
  the front: a heap of 1000 would cost more than adding the postings does.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

UNTOUCHED = -0.0
LANES = 64  # accumulators looked at together, and the multiple that their number is padded to
_DENSE_SHARE = 8  # below one posting to eight documents, walking the postings again is the shorter way
_HALF = np.uint64(32)
_SIGN = np.uint64(0x80000000)
_ALL = np.uint64(0xFFFFFFFF)
_UNTOUCHED_BITS = np.uint64(1 << 63)
_ONE_SCORE = np.uint64(1 << 32)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Offsets = NDArray[np.int32] | NDArray[np.int64]


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compiles at the first call of each argument type; later processes load that from numba's cache.

    The cache is NUMBA_CACHE_DIR, else `__pycache__`, else the user's cache folder. Where none can be
    written, every process compiles anew, which is slow but no reason to fail.
    """
    try:
        dispatcher = njit(function, cache=True, nogil=True)
    except RuntimeError:
        dispatcher = njit(function, nogil=True)
    return cast(Callable[Arguments, Result], dispatcher)


@compiled
def count_terms(terms: NDArray[np.int32], counts: NDArray[np.int64]) -> None:
    """Adds to `counts[term + 1]` the number of times that a term occurs."""
    for place in range(len(terms)):
        counts[terms[place] + 1] += 1


@compiled
def transpose(
    row_offsets: NDArray[np.int64],
    terms: NDArray[np.int32],
    weights: NDArray[np.float32],
    first_document: int,
    cursors: NDArray[np.int64],
    documents: NDArray[np.uint16],
    impacts: NDArray[np.float32],
) -> None:
    """Writes rows as postings. `cursors[term]`, where the term's next posting goes, is moved on."""
    for row in range(len(row_offsets) - 1):
        for place in range(row_offsets[row], row_offsets[row + 1]):
            target = cursors[terms[place]]
            documents[target] = first_document + row
            impacts[target] = weights[place]
            cursors[terms[place]] = target + 1


@compiled
def key_of(score: np.float32, rank: np.uint32) -> np.uint64:
    """Bits of a float sort as unsigned numbers once the upper bit is turned, and for negatives all others."""
    normal = np.float32(score + np.float32(0.0))  # -0.0 becomes 0.0: they are one score
    bits = np.uint64(normal.view(np.uint32))
    return ((bits ^ (_ALL if bits & _SIGN else _SIGN)) << _HALF) | np.uint64(rank)


@compiled
def score_of(key: np.uint64) -> np.float32:
    upper = key >> _HALF
    bits = np.uint32(upper ^ (_SIGN if upper & _SIGN else _ALL))
    return bits.view(np.float32)


@compiled
def floor_of(key: np.uint64) -> float:
    """A bound below every float64 that rounds to the key's score or more: the float32 before it."""
    return np.float64(score_of(key - _ONE_SCORE)) if key else -np.inf


@compiled
def keep_best(keys: NDArray[np.uint64], k: int) -> None:
    """Moves the k greatest to the front, the least of them to place k - 1 (Hoare's selection)."""
    low, high, target = 0, len(keys) - 1, k - 1
    while low < high:
        pivot = middle_of(keys[low], keys[(low + high) >> 1], keys[high])
        left, right = low, high
        while left <= right:
            while keys[left] > pivot:
                left += 1
            while keys[right] < pivot:
                right -= 1
            if left <= right:
                keys[left], keys[right] = keys[right], keys[left]
                left += 1
                right -= 1
        if target <= right:
            high = right
        elif target >= left:
            low = left
        else:
            return


@compiled
def middle_of(a: np.uint64, b: np.uint64, c: np.uint64) -> np.uint64:
    return max(min(a, b), min(max(a, b), c))


@compiled
def offer(score: float, rank: np.uint32, best: NDArray[np.uint64], k: int) -> bool:
    """Takes a float64 sum among a query's best if it may belong there; says whether the bar was raised.

    `best`: place 0 holds how many keys there are, place 1 the key to exceed, the others the keys.
    """
    key = key_of(np.float32(score), rank)
    if key <= best[1]:
        return False
    count = np.int64(best[0]) + 1  # signed: in numba a signed plus an unsigned number is a float
    best[count + 1] = key
    best[0] = np.uint64(count)
    if count < len(best) - 2:
        return False
    keep_best(best[2:], k)
    best[0], best[1] = np.uint64(k), best[k + 1]
    return True


@compiled
def is_untouched(total: float) -> bool:
    value = np.float64(total)
    return bool(value.view(np.uint64) == _UNTOUCHED_BITS)


@compiled
def collect_all(
    sums: NDArray[np.float64], base: float, ranks: NDArray[np.uint32], best: NDArray[np.uint64], k: int
) -> None:
    """Takes the best of all accumulators, `base` added to each that was touched, and clears them."""
    floor = floor_of(best[1])
    for start in range(0, len(ranks), LANES):
        lanes = sums[start : start + LANES]
        passed = 0
        for lane in range(LANES):  # without a branch: the compiler makes it vector instructions
            passed += lanes[lane] + base >= floor
        if passed:
            for lane in range(min(LANES, len(ranks) - start)):
                score = lanes[lane] + base
                if score < floor or is_untouched(lanes[lane]):
                    continue
                if offer(score, ranks[start + lane], best, k):
                    floor = floor_of(best[1])
        lanes[:] = UNTOUCHED


@compiled
def collect_postings(
    documents: NDArray[np.uint16],
    sums: NDArray[np.float64],
    base: float,
    ranks: NDArray[np.uint32],
    best: NDArray[np.uint64],
    k: int,
) -> None:
    """Takes the best of the accumulators that one term's postings name, and clears them."""
    for place in range(len(documents)):
        document = documents[place]
        if not is_untouched(sums[document]):
            offer(sums[document] + base, ranks[document], best, k)
            sums[document] = UNTOUCHED


@compiled
def add_postings(
    weight: float, documents: NDArray[np.uint16], impacts: NDArray[np.float32], sums: NDArray[np.float64]
) -> None:
    for place in range(len(documents)):
        sums[documents[place]] += weight * np.float64(impacts[place])


@compiled
def take_best(
    best: NDArray[np.uint64],
    k: int,
    rows: NDArray[np.uint32],
    found_rows: NDArray[np.int64],
    found_scores: NDArray[np.float32],
) -> int:
    """Writes a query's first k, in order, and returns how many there are."""
    keys = best[2 : 2 + np.int64(best[0])]
    if len(keys) > k:
        keep_best(keys, k)
        keys = keys[:k]
    keys.sort()
    for place in range(len(keys)):
        key = keys[len(keys) - 1 - place]
        found_rows[place] = rows[key & _ALL]
        found_scores[place] = score_of(key)
    return len(keys)


@compiled
def search_queries(
    offsets: Offsets,
    documents: NDArray[np.uint16],
    impacts: NDArray[np.float32],
    ranks: NDArray[np.uint32],
    rows: NDArray[np.uint32],
    segment_size: int,
    query_offsets: NDArray[np.int64],
    query_terms: NDArray[np.int32],
    query_weights: NDArray[np.float32],
    bases: NDArray[np.float64],
    k: int,
    sums: NDArray[np.float64],
    best: NDArray[np.uint64],
    found: NDArray[np.int64],
    found_rows: NDArray[np.int64],
    found_scores: NDArray[np.float32],
) -> None:
    """The first k of each query into its row of `found_rows` and `found_scores`; how many into `found`.

    `bases`, one a query, are added to the sum of every document that shares a term with it.
    `best`: a row a query for `offer`, which comes zeroed.
    Query terms ascend, so that each document's sum is made in the order of its terms, whatever its place.
    `sums`, at least a padded segment long, comes and stays untouched. Segment before query: what one query
    read of a segment is still in the cache for the next.
    """
    for segment in range(len(offsets)):
        starts = offsets[segment]
        here = ranks[segment * segment_size : (segment + 1) * segment_size]
        for query in range(len(best)):
            terms = query_terms[query_offsets[query] : query_offsets[query + 1]]
            weights = query_weights[query_offsets[query] : query_offsets[query + 1]]
            postings = 0
            for place in range(len(terms)):
                begin, end = starts[terms[place]], starts[terms[place] + 1]
                add_postings(np.float64(weights[place]), documents[begin:end], impacts[begin:end], sums)
                postings += end - begin
            if postings * _DENSE_SHARE >= len(here):
                collect_all(sums, bases[query], here, best[query], k)
                continue
            for term in terms:
                postings_of = documents[starts[term] : starts[term + 1]]
                collect_postings(postings_of, sums, bases[query], here, best[query], k)
    for query in range(len(best)):
        found[query] = take_best(best[query], k, rows, found_rows[query], found_scores[query])


@compiled
def merge_segments(
    offsets: Offsets,
    documents: NDArray[np.uint16],
    impacts: NDArray[np.float32],
    segment_size: int,
    cursors: NDArray[np.int64],
    merged_documents: NDArray[np.int32],
    merged_impacts: NDArray[np.float32],
) -> None:
    """All segments' postings by term alone, with whole document numbers."""
    for segment in range(len(offsets)):
        for term in range(offsets.shape[1] - 1):
            for place in range(offsets[segment, term], offsets[segment, term + 1]):
                target = cursors[term]
                merged_documents[target] = segment * segment_size + documents[place]
                merged_impacts[target] = impacts[place]
                cursors[term] = target + 1
