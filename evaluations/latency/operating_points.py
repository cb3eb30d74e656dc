"""Latency at the operating points of one system: each beside the same references, so that points compare.

A model that is changed in place cannot take turns with itself as it was. Both take turns with the references
instead: the realised speed-up is the quotient of their ratios to these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evaluations.datasets import Documents
from evaluations.latency import gates
from evaluations.latency.gates import Gate
from evaluations.latency.harness import PARTS, alternate
from evaluations.latency.quiet import quiet
from evaluations.latency.references import References, references_for
from evaluations.latency.schedule import Schedule
from evaluations.latency.statistics import Block, Interval, Ratio, block_variation, mean, p50, ratio, summary
from evaluations.systems.abilities import QueryPath

POINT = "point"
_SEARCH = PARTS.index("search")


@dataclass(frozen=True)
class PointTimes:
    """p50 in ms of a whole query and of its search. `to_references`: its ratio to their matched sum.

    `rejected`: the gates that failed, in words; the times are not to be shown then.
    """

    total_ms: float
    search_ms: float
    to_references: Ratio
    rejected: str | None = None


@dataclass(frozen=True)
class SpeedUp:
    """`realised`: how many times as fast as the unmodified system. `interval`: 95 %, both being measured."""

    realised: float
    interval: Interval


@dataclass(frozen=True)
class PointTimer:
    """Times paths of one system over the same queries, beside the same references."""

    references: References
    texts: Sequence[str]
    threads: int = 1
    schedule: Schedule = field(default_factory=Schedule)

    @classmethod
    def of(
        cls, path: QueryPath, documents: Documents, texts: Sequence[str], k: int, schedule: Schedule
    ) -> "PointTimer":
        """With the references that the unmodified system's `path` is matched with. `texts` are distinct."""
        return cls(references_for(path, documents, k, threads=1), texts, schedule=schedule)

    def time(self, path: QueryPath) -> PointTimes:
        """One session. Where the encoder's model is absent, the ratio is to BM25."""
        paths = self.references.paths
        with quiet(self.threads):
            found = alternate({POINT: path, **paths}, self.texts, self.schedule)
        recording, seed = found[POINT], self.schedule.seed
        matched = (
            self.references.matched.blocks(found) if self.references.is_matched else found["bm25"].totals
        )
        between = ratio(recording.totals, matched, seed)
        checked = [_variation_gate(name, found[name].totals) for name in paths]
        return PointTimes(
            total_ms=summary(recording.totals, seed).p50,
            search_ms=summary([block[..., _SEARCH] for block in recording.blocks], seed).p50,
            to_references=between,
            rejected=gates.rejection([*checked, gates.ratio_gate(between.variation)]),
        )


def speed_up(unmodified: PointTimes, changed: PointTimes) -> SpeedUp:
    """Of whole queries. The interval's ends are quotients of opposite ends: wide rather than narrow."""
    before, after = unmodified.to_references, changed.to_references
    interval = Interval(before.interval.low / after.interval.high, before.interval.high / after.interval.low)
    return SpeedUp(before.value / after.value, interval)


def point_metrics(unmodified: PointTimes, changed: PointTimes) -> dict[str, float | None]:
    """As a curve shows them. None throughout where a gate failed at either."""
    rejected = unmodified.rejected or changed.rejected
    times = (changed.total_ms, changed.search_ms, speed_up(unmodified, changed).realised)
    names = ("query_latency_p50_ms", "query_search_latency_p50_ms", "query_speedup_realised")
    return {name: None if rejected else time for name, time in zip(names, times, strict=True)}


def claimed_share_removed(unmodified: Mapping[str, float], changed: Mapping[str, float]) -> float:
    """Share of a query's operations that a changed model leaves out if every product with a zero is skipped.

    Both as `sparsity.compute.compute_metrics` gives them, of the same texts.
    """
    return 1.0 - changed["query_compute_claimed_flop"] / unmodified["query_compute_claimed_flop"]


def _variation_gate(name: str, blocks: Sequence[Block]) -> Gate:
    return gates.variation_gate(name, block_variation(blocks, p50), block_variation(blocks, mean))
