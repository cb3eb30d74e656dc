"""Latency at the operating points of one system: each beside the same references, so that points compare.

A model that is changed in place cannot take turns with itself as it was. Both take turns with the references
instead: the realised speed-up is the quotient of their ratios to these. Each point has a session of its own
with every gate; the unmodified system's is the evaluation's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from evaluations.datasets import Dataset
from evaluations.latency.baseline import Baseline
from evaluations.latency.references import References, references_for
from evaluations.latency.session import Settings, record, session_gates
from evaluations.latency.statistics import Interval
from evaluations.latency.track import findings
from evaluations.progress import Progress
from evaluations.systems.abilities import QueryPath
from evaluations.tracks import Findings

TOTAL, SEARCH = "query_latency_p50_ms", "query_search_latency_p50_ms"
SPEED_UP, REMOVED = "query_speedup_realised", "query_flop_removed_share"
POINT_TIMES = (TOTAL, SEARCH, SPEED_UP, REMOVED)  # all that a point has of the latency track
_RATIOS = ("latency_ratio_matched_p50", "latency_ratio_bm25_p50")  # the first that there is


@dataclass(frozen=True)
class PointTimes:
    """p50 in ms of a whole query and of its search. `to_references`: its ratio to their matched sum.

    Where the encoder's model is absent, the ratio is to BM25. `interval`: 95 %, of the ratio.
    """

    total_ms: float
    search_ms: float
    to_references: float
    interval: Interval

    @classmethod
    def of_session(cls, found: Findings) -> "PointTimes":
        """Of what a session of whole queries publishes; not of a rejected one, which publishes nothing."""
        metrics = cast("Mapping[str, float]", found.metrics)
        name = next(name for name in _RATIOS if metrics[name] is not None)
        low, high = cast("Mapping[str, Any]", found.details["intervals"])[name]
        return cls(metrics[TOTAL], metrics[SEARCH], metrics[name], Interval(low, high))


@dataclass(frozen=True)
class SpeedUp:
    """`realised`: how many times as fast as the unmodified system. `interval`: 95 %, both being measured."""

    realised: float
    interval: Interval


@dataclass(frozen=True)
class PointTimer:
    """Times paths of one system over the same queries, beside the same references.

    `stored`: what these took on this host when it was well.
    """

    references: References
    dataset: Dataset
    settings: Settings
    stored: Baseline | None
    progress: Progress

    @classmethod
    def of(
        cls,
        path: QueryPath,
        dataset: Dataset,
        settings: Settings,
        stored: Baseline | None,
        progress: Progress,
    ) -> "PointTimer":
        """With the references that the unmodified system's `path` is matched with."""
        assert dataset.documents is not None  # noqa: S101 - the track has asked for them
        with progress.stage("loading"):
            found = references_for(path, dataset.documents, settings.k, settings.threads)
        return cls(found, dataset, settings, stored, progress)

    def time(self, path: QueryPath) -> PointTimes | str:
        """One session; where it fails a gate, why it is rejected."""
        session = record(path, self.dataset, self.settings, self.progress, self.references)
        found = findings(session, session_gates(session, self.stored))
        if "rejected" in found.details:
            return f"its session was rejected: {found.details['rejected']}"
        return PointTimes.of_session(found)


def speed_up(unmodified: PointTimes, changed: PointTimes) -> SpeedUp:
    """Of whole queries. The interval's ends are quotients of opposite ends: wide rather than narrow."""
    before, after = unmodified.interval, changed.interval
    interval = Interval(before.low / after.high, before.high / after.low)
    return SpeedUp(unmodified.to_references / changed.to_references, interval)


def point_metrics(unmodified: PointTimes, changed: PointTimes) -> dict[str, float | int | None]:
    """As a curve shows them."""
    realised = speed_up(unmodified, changed).realised
    return {TOTAL: changed.total_ms, SEARCH: changed.search_ms, SPEED_UP: realised}


def no_point_metrics() -> dict[str, float | int | None]:
    """Of a point without times."""
    return dict.fromkeys((TOTAL, SEARCH, SPEED_UP))


def claimed_share_removed(unmodified: Mapping[str, float], changed: Mapping[str, float]) -> float:
    """Share of a query's operations that a changed model leaves out if every product with a zero is skipped.

    Both as `sparsity.compute.compute_metrics` gives them, of the same texts.
    """
    return 1.0 - changed["query_compute_claimed_flop"] / unmodified["query_compute_claimed_flop"]
