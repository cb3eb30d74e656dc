"""What a curve says: how far a system can be made sparser before its quality suffers (docs/metrics.md).

Points come in the order of their sparsity, the least first. A gap whose value does not fit the system was
not tested and is passed over; one that the change made, as vectors that are all zero, ends what can be said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluations.sparsity.sweeps.base import SEED

KNEE_LOSS = 0.01  # of the unmodified score
DROP_LOSS = 0.02
DROP_SLOPE = 3.0
CONFIDENCE = 0.95
RESAMPLES = 10_000
_BLOCK = 200  # resamples drawn at once

NOTHING = "no point was made"
KNEE_RULE = (
    "the greatest level at which, and at every smaller tested level, mean {measure} is at most 1 % (relative)"
    " below the unmodified system's; confirmed where the 95 % lower bound of a paired bootstrap over queries"
    " is above -1 % there too"
)
DROP_RULE = (
    "the first interval between neighbouring levels that loses {measure} more than 3 times as fast as all"
    " before it together, and more than 2 % of the unmodified score"
)


Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """A point of a curve: its value as asked for, its level, its score a query; both None for a gap.

    `fits`: whether the system could have had this value at all.
    """

    value: str
    level: float | None
    scores: Scores | None
    fits: bool = True


@dataclass(frozen=True)
class _Tested:
    value: str
    level: float
    scores: Scores

    @property
    def mean(self) -> float:
        return float(self.scores.mean())


@dataclass(frozen=True)
class Knee:
    """`lower_bound`: of the relative change there, where it is not the unmodified point itself."""

    value: str
    level: float
    change: float
    lower_bound: float
    confirmed: bool


@dataclass(frozen=True)
class Drop:
    """The interval from one level to the next; `loss` is a share of the unmodified score."""

    from_value: str
    to_value: str
    from_level: float
    to_level: float
    loss: float


def knee(unmodified: Scores, points: Sequence[Level]) -> Knee | str:
    """The knee, or why there is none. `unmodified`: its score for each query, in the points' order."""
    base = float(unmodified.mean())
    if base <= 0:
        return "the unmodified system scores 0"
    tested, found = _tested(points), None
    if not tested:
        return NOTHING
    for point in tested:
        change = point.mean / base - 1.0
        if change < -KNEE_LOSS:
            break
        found = point, change
    if found is None:
        return "no tested level keeps the loss within 1 %"
    point, change = found
    bound = lower_bound(unmodified, point.scores)
    return Knee(point.value, point.level, change, bound, bound > -KNEE_LOSS)


def drop(unmodified: Scores, points: Sequence[Level]) -> Drop | str:
    """The essential-sparsity drop, or why there is none. The first interval has nothing to compare with."""
    base = float(unmodified.mean())
    if base <= 0:
        return "the unmodified system scores 0"
    tested = _tested(points)
    if not tested:
        return NOTHING
    before_value, before_level, before_mean = "", 0.0, base
    for number, point in enumerate(tested):
        loss, width = (before_mean - point.mean) / base, point.level - before_level
        if number and width > 0 and loss > DROP_LOSS:
            mean_slope = (base - before_mean) / base / before_level
            if loss / width > DROP_SLOPE * mean_slope:
                return Drop(before_value, point.value, before_level, point.level, loss)
        before_value, before_level, before_mean = point.value, point.level, point.mean
    return "no interval loses more than 2 % of the score and 3 times as fast as what is before it"


def lower_bound(unmodified: Scores, changed: Scores) -> float:
    """One-sided 95 % lower bound of mean(changed) / mean(unmodified) - 1, by a paired bootstrap.

    Queries are drawn with replacement, the same for both systems; the bound is the 5th percentile of 10,000
    resamples. A resample in which the unmodified system scores 0 says nothing and is left out. Seeded.
    """
    if np.array_equal(unmodified, changed):
        return 0.0
    generator, queries = np.random.default_rng(SEED), len(unmodified)
    pairs = np.stack([unmodified, changed], axis=1)
    changes = []
    for _ in range(0, RESAMPLES, _BLOCK):
        counts = generator.multinomial(queries, np.full(queries, 1.0 / queries), size=_BLOCK)
        before, after = (counts @ pairs).T
        changes.append(after[before > 0] / before[before > 0] - 1.0)
    return float(np.quantile(np.concatenate(changes), 1.0 - CONFIDENCE))


def paired(per_query: Mapping[str, float], query_ids: Sequence[str]) -> Scores:
    return np.array([per_query[query_id] for query_id in query_ids], dtype=np.float64)


def _tested(points: Sequence[Level]) -> list[_Tested]:
    """The points that say something; those no sparser than the unmodified system are no levels."""
    tested = []
    for point in points:
        if point.level is None or point.scores is None:
            if point.fits:
                break
            continue
        if point.level > 0:
            tested.append(_Tested(point.value, point.level, point.scores))
    return tested
