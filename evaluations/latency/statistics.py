"""What a session's times come to: quantiles, means, ratios, and how sure they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.int64]  # shape (chunks, queries of a chunk)
Draw = list[tuple[int, NDArray[np.int64]]]  # blocks, and chunks in each

P99_SAMPLES = 10_000
RESAMPLES = 1000
CONFIDENCE = 0.95
_MS = 1e-6  # of a nanosecond


@dataclass(frozen=True)
class Interval:
    """95 %."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Summary:
    """Milliseconds a query. `p99` is None below 10,000 samples: it would rest on too few of them."""

    p50: float
    p95: float
    p99: float | None
    mean: float
    samples: int
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class Ratio:
    """Median over the blocks of the ratio of two p50; `blocks`: each block's."""

    value: float
    blocks: tuple[float, ...]
    interval: Interval

    @property
    def variation(self) -> float:
        return variation(self.blocks)


def calibrated(chunks: NDArray[np.int64]) -> dict[str, float]:
    """`p50` and `mean` in ms of a calibration's queries, shape (chunks, queries of a chunk), in ns.

    The mean is taken of a tenth of the time after the other, and the median of these means: one stall does
    not move it, a share of the processor that is always missing does.
    """
    means = [part.mean() for part in np.array_split(chunks, min(10, len(chunks)))]
    return {"p50": p50(chunks) * _MS, "mean": float(np.median(means)) * _MS}


def summary(blocks: Sequence[Block], seed: int) -> Summary:
    """Quantiles interpolate linearly between order statistics (Hyndman and Fan's type 7)."""
    times = _joined(blocks)
    found = points(times)
    # A draw of longer or shorter blocks has more or fewer samples; it is asked for what the whole has.
    resampled = [points(_drawn(blocks, draw), p99="p99" in found) for draw in _draws(blocks, seed)]
    intervals = {name: _interval([each[name] for each in resampled]) for name in found}
    return Summary(
        found["p50"], found["p95"], found.get("p99"), found["mean"], len(times), intervals
    )  # fmt: skip


def ratio(system: Sequence[Block], reference: Sequence[Block], seed: int) -> Ratio:
    """Of times of the same queries: block i of both was measured in turns, and so is resampled together."""
    blocks = tuple(p50(ours) / p50(theirs) for ours, theirs in zip(system, reference, strict=True))
    resampled = [
        float(
            np.median([p50(system[block][chunks]) / p50(reference[block][chunks]) for block, chunks in draw])
        )
        for draw in _draws(system, seed)
    ]
    return Ratio(float(np.median(blocks)), blocks, _interval(resampled))


def p50(times: NDArray[np.int64]) -> float:
    return float(np.median(times))


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation: the standard deviation (n - 1) over the mean."""
    return float(np.std(values, ddof=1) / np.mean(values))


def block_variation(blocks: Sequence[Block], statistic: Callable[[Block], float]) -> float:
    return variation([statistic(block) for block in blocks])


def mean(times: NDArray[np.int64]) -> float:
    return float(np.mean(times))


def points(times: NDArray[np.int64], *, p99: bool | None = None) -> dict[str, float]:
    """Quantiles and mean in ms of times in ns; p99 where it is asked for, or else from enough samples."""
    with_p99 = len(times) >= P99_SAMPLES if p99 is None else p99
    quantiles = {"p50": 50, "p95": 95} | ({"p99": 99} if with_p99 else {})
    values = np.percentile(times, list(quantiles.values())) * _MS
    return {**dict(zip(quantiles, values.tolist(), strict=True)), "mean": float(times.mean()) * _MS}


def _draws(blocks: Sequence[Block], seed: int) -> list[Draw]:
    """Blocks with replacement, and in each its chunks with replacement.

    Queries are never drawn one by one: neighbours in time share their disturbances, and drawing them apart
    would make the interval too narrow (Davison and Hinkley 1997, sections 3.8 and 8.2).
    """
    generator = np.random.default_rng(seed)
    return [
        [
            (block, generator.integers(len(blocks[block]), size=len(blocks[block])))
            for block in generator.integers(len(blocks), size=len(blocks)).tolist()
        ]
        for _ in range(RESAMPLES)
    ]


def _drawn(blocks: Sequence[Block], draw: Draw) -> NDArray[np.int64]:
    return _joined([blocks[block][chunks] for block, chunks in draw])


def _joined(blocks: Sequence[Block]) -> NDArray[np.int64]:
    return np.concatenate([block.ravel() for block in blocks])


def _interval(values: Sequence[float]) -> Interval:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return Interval(float(low), float(high))
