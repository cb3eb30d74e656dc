"""Compiled loops of the dense search; keys, buffers of the best and their conventions are kernels.py's."""

import numpy as np
from numpy.typing import NDArray

from evaluations.search.kernels import compiled, floor_of, keep_best, key_of, offer, score_of

LANES = 64  # products looked at together
SUMS = 32  # partial sums of a float64 product: enough for vector instructions, in an order of their own


@compiled
def largest_square(vectors: NDArray[np.float32]) -> float:
    """The greatest squared length of a row, in float64; NaN or infinite where a row is not finite."""
    sums = np.empty(SUMS)
    largest = 0.0
    for row in range(len(vectors)):
        square = product_of(vectors[row], vectors[row], sums)
        if not square <= largest:
            largest = square
            if np.isnan(square):
                break
    return largest


@compiled
def product_of(left: NDArray[np.float32], right: NDArray[np.float32], sums: NDArray[np.float64]) -> float:
    """The float64 product, whose order of additions depends on the length alone: equal rows, equal scores.

    `sums`, shape (SUMS,), is overwritten.
    """
    sums[:] = 0.0
    whole = len(left) // SUMS * SUMS
    for start in range(0, whole, SUMS):
        for lane in range(SUMS):
            sums[lane] += np.float64(left[start + lane]) * np.float64(right[start + lane])
    for place in range(whole, len(left)):
        sums[place - whole] += np.float64(left[place]) * np.float64(right[place])
    width = SUMS // 2
    while width:
        for lane in range(width):
            sums[lane] += sums[lane + width]
        width //= 2
    return float(sums[0])


@compiled
def exact_scores(query: NDArray[np.float32], documents: NDArray[np.float32]) -> NDArray[np.float32]:
    sums = np.empty(SUMS)
    scores = np.empty(len(documents), dtype=np.float32)
    for row in range(len(documents)):
        scores[row] = product_of(query, documents[row], sums)
    return scores


@compiled
def below(bound: float) -> np.float32:
    """A float32 that is no greater: products are compared in their own type."""
    return np.float32(floor_of(key_of(np.float32(bound), np.uint32(0))))


@compiled
def reaching(products: NDArray[np.float32], least: np.float32, places: NDArray[np.int32]) -> int:
    """Writes the places of the products that are at least `least`, ascending; returns how many there are."""
    count = 0
    whole = len(products) // LANES * LANES
    for start in range(0, whole, LANES):
        lanes = products[start : start + LANES]
        passed = np.int32(0)
        for lane in range(LANES):  # without a branch: the compiler makes it vector instructions
            passed += np.int32(lanes[lane] >= least)
        if passed:
            for lane in range(LANES):
                places[count] = start + lane
                count += int(lanes[lane] >= least)
    for place in range(whole, len(products)):
        if products[place] >= least:
            places[count] = place
            count += 1
    return count


@compiled
def reaching_the_kth(
    products: NDArray[np.float32],
    bound: float,
    k: int,
    places: NDArray[np.int32],
    count: int,
    keys: NDArray[np.uint64],
) -> int:
    """Keeps, of `places[:count]`, those that may be among the first k of them; returns how many they are.

    k products are at least the k-th, so k scores are at least that less the bound, and so is whatever score
    belongs among them; its product is at least that less the bound once more.
    """
    for place in range(count):
        keys[place] = key_of(products[places[place]], np.uint32(place))
    keep_best(keys[:count], k)
    least = np.float64(score_of(keys[k - 1])) - 2.0 * bound
    kept = 0
    for place in range(count):
        places[kept] = places[place]
        kept += int(products[places[place]] >= least)
    return kept


@compiled
def collect(
    products: NDArray[np.float32],
    queries: NDArray[np.float32],
    documents: NDArray[np.float32],
    bounds: NDArray[np.float64],
    ranks: NDArray[np.uint32],
    best: NDArray[np.uint64],
    k: int,
) -> None:
    """Takes the best of a block of documents among each query's best (`best[query]`, for `offer`).

    `products` (queries, documents) in float32 are off the scores by no more than `bounds` (queries,).
    """
    places = np.empty(len(documents) + 1, dtype=np.int32)  # one more: `reaching` writes before it counts
    keys = np.empty(len(documents), dtype=np.uint64)
    sums = np.empty(SUMS)
    for query in range(len(queries)):
        least = np.float32(-np.inf)
        if best[query, 1]:
            least = below(np.float64(score_of(best[query, 1])) - bounds[query])
        count = reaching(products[query], least, places)
        if count > k:
            count = reaching_the_kth(products[query], bounds[query], k, places, count, keys)
        for place in places[:count]:
            score = product_of(queries[query], documents[place], sums)
            offer(score, ranks[place], best[query], k)
