"""Product quantisation: k-means in each part of the vectors (Jégou, Douze and Schmid 2011)."""

import numpy as np
from numpy.typing import NDArray

from evaluations.sparsity.sweeps.base import SEED
from evaluations.sparsity.sweeps.vectors import Float32

CENTROIDS = 256  # a part's code is one byte
ITERATIONS = 25
TRAINING_VECTORS = 65_536  # 256 a centroid: more move centroids little (Johnson, Douze and Jégou 2021)
_BLOCK = 16_384

Codes = NDArray[np.uint8]


def product_quantised(rows: Float32, parts: int) -> tuple[Float32, int]:
    """What each vector's code stands for, shape as the argument's, and the codebooks' bytes.

    The dimensions are cut into `parts` of equal length, a divisor of their number. A float query's product
    with the result is the asymmetric score: the sum of its parts' products with the centroids. Seeded.
    """
    generator = np.random.default_rng(SEED)
    sample = rows
    if len(rows) > TRAINING_VECTORS:
        sample = rows[np.sort(generator.choice(len(rows), TRAINING_VECTORS, replace=False))]
    decoded, width, book_bytes = np.empty_like(rows), rows.shape[1] // parts, 0
    for part in range(parts):
        here = slice(part * width, (part + 1) * width)
        book = centroids(np.ascontiguousarray(sample[:, here]), generator)
        book_bytes += book.nbytes
        decoded[:, here] = book[nearest(rows[:, here], book)]
    return decoded, book_bytes


def centroids(points: Float32, generator: np.random.Generator) -> Float32:
    """At most 256 means of the points, shape (centroids, dimensions), by Lloyd's iterations.

    Begun by k-means++ (Arthur and Vassilvitskii 2007); a centroid that no point is nearest to moves to the
    point farthest from its own. Where there are no more distinct points than centroids, they are the points.
    """
    distinct = np.unique(points, axis=0)
    if len(distinct) <= CENTROIDS:
        return distinct
    means = _begun(distinct, generator)
    for _ in range(ITERATIONS):
        assigned, distances = _assigned(points, means)
        moved = _means(points, assigned, means, distances)
        if np.array_equal(moved, means):
            break
        means = moved
    return means


def _begun(points: Float32, generator: np.random.Generator) -> Float32:
    """Distinct points, each drawn with a chance that grows with the squared distance to those before it."""
    wide = points.astype(np.float64)
    chosen = [int(generator.integers(len(points)))]
    distances = ((wide - wide[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < CENTROIDS:
        chosen.append(int(generator.choice(len(points), p=distances / distances.sum())))
        np.minimum(distances, ((wide - wide[chosen[-1]]) ** 2).sum(axis=1), out=distances)
    return points[chosen]


def nearest(points: Float32, means: Float32) -> Codes:
    """The number of the centroid nearest to each point; of equally near ones the first."""
    return _assigned(points, means)[0].astype(np.uint8)


def _assigned(points: Float32, means: Float32) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Nearest centroid and squared distance to it, for each point."""
    lengths = (means.astype(np.float64) ** 2).sum(axis=1)
    assigned, distances = np.empty(len(points), dtype=np.int64), np.empty(len(points))
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK].astype(np.float64)
        squared = lengths - 2.0 * (block @ means.T.astype(np.float64))
        best = squared.argmin(axis=1)
        assigned[start : start + _BLOCK] = best
        own = (block**2).sum(axis=1) + squared[np.arange(len(block)), best]
        distances[start : start + _BLOCK] = own
    return assigned, distances


def _means(
    points: Float32, assigned: NDArray[np.int64], means: Float32, distances: NDArray[np.float64]
) -> Float32:
    counts = np.bincount(assigned, minlength=len(means))
    sums = np.stack(
        [np.bincount(assigned, weights=column, minlength=len(means)) for column in points.T], axis=1
    )
    moved = (sums / np.maximum(counts, 1)[:, np.newaxis]).astype(np.float32)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        farthest = np.argsort(-distances, kind="stable")[: len(empty)]
        moved[empty] = points[farthest]
    return moved
