"""One session: a system and the references in turns, the gates, and what may then be published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evaluations.datasets import Dataset, Documents
from evaluations.errors import EvaluationError
from evaluations.latency import baseline, gates, references
from evaluations.latency.baseline import Baseline
from evaluations.latency.card import CardWatch, used_card
from evaluations.latency.conditions import Change, Counters
from evaluations.latency.gates import Gate
from evaluations.latency.harness import EMPTY, Recording, alternate, empty_path, timed
from evaluations.latency.host import HostProfile, host_profile
from evaluations.latency.quiet import Quiet, quiet
from evaluations.latency.references import BM25, SEARCHING, References
from evaluations.latency.schedule import Schedule
from evaluations.latency.statistics import Block, Ratio, block_variation, mean, p50, ratio
from evaluations.latency.throughput import Plan
from evaluations.progress import Progress
from evaluations.protocol import LOOPED, Fact
from evaluations.systems.abilities import QueryPath

SYSTEM = "system"
K = 10
_US = 1e-3  # of a nanosecond


@dataclass(frozen=True)
class Settings:
    """`threads`: of each query. `throughput` None, `engines` false: the system's own latency alone."""

    threads: int = 1
    k: int = K
    schedule: Schedule = field(default_factory=Schedule)
    throughput: Plan | None = field(default_factory=Plan)
    engines: bool = True


@dataclass(frozen=True)
class Session:
    """What was recorded, before anything is concluded from it.

    `calibrated`: the references as they are calibrated, BM25 over `mini`. `calibration`: milliseconds they
    took before the loop, `calibration_after`: after it. `card`: None on a processor.
    """

    path: QueryPath
    references: References
    settings: Settings
    recordings: Mapping[str, Recording]
    calibrated: Mapping[str, QueryPath]
    calibration: Mapping[str, float]
    calibration_after: Mapping[str, float]
    quiet: Quiet
    conditions: Mapping[str, Change]
    card: CardWatch | None
    host: HostProfile
    distinct_queries: int

    def protocol_facts(self) -> dict[str, Fact]:
        """What must be equal, besides the dataset, for two latencies to be comparable."""
        return {
            "host_profile": self.host.hash,
            "device": self.path.device,
            "threads": self.settings.threads,
            "k": self.settings.k,
            "engine": self.path.engine,
            "query_loop": str(self.settings.schedule) + (LOOPED if self.looped else ""),
            "references": self.references.description,
        }

    @property
    def samples(self) -> int:
        return self.recordings[SYSTEM].samples

    @property
    def times(self) -> list[Block]:
        """What the matched reference stands for: whole queries, or searches where vectors are given."""
        recording = self.recordings[SYSTEM]
        return recording.totals if self.path.is_whole else recording.steps(SEARCHING)

    @cached_property
    def matched_ratio(self) -> Ratio | None:
        """To the sum of the references' parts; None where one of them is absent."""
        if not self.references.is_matched:
            return None
        matched = self.references.matched.blocks(self.recordings)
        return ratio(self.times, matched, self.settings.schedule.seed)

    @cached_property
    def bm25_ratio(self) -> Ratio:
        """To all of BM25's way, from text to the first k."""
        totals = self.recordings[BM25].totals
        return ratio(self.recordings[SYSTEM].totals, totals, self.settings.schedule.seed)

    @property
    def looped(self) -> bool:
        """Whether some timed queries had been met before, in the warm-up or timed, since they are few."""
        return self.settings.schedule.warmup + self.samples > self.distinct_queries

    @property
    def overhead_us(self) -> float:
        """What the harness took of a query, p50."""
        return p50(np.concatenate([block.ravel() for block in self.recordings[EMPTY].totals])) * _US


def record(
    path: QueryPath,
    dataset: Dataset,
    settings: Settings,
    progress: Progress,
    known: References | None = None,
) -> Session:
    """Runs the timed loop between two calibrations of the references. `known`: these, if they are there.

    The second sees a load that began after the first and slowed all of the loop alike: no variation does.
    Raises EvaluationError `DATASET-CORPUS`.
    """
    host, texts = host_profile(), distinct_queries(dataset)
    with progress.stage("loading"):
        found = known or references.references_for(path, _documents(dataset), settings.k, settings.threads)
        calibrated = {**found.paths, BM25: baseline.mini_bm25()}
    least = settings.schedule.blocks * settings.schedule.chunks * settings.schedule.chunk
    card = CardWatch(used_card()) if path.device == "cuda" else None
    with progress.stage("timing", total=least), quiet(settings.threads) as still:
        before = Counters.read()
        calibration = baseline.calibrate(calibrated, settings.threads)
        recordings = alternate(
            {SYSTEM: path, EMPTY: empty_path(), **found.paths}, texts, settings.schedule,
            on_queries_done=progress.advance, on_block_done=lambda: look_at(card, path, texts),
        )  # fmt: skip
        after = baseline.calibrate(calibrated, settings.threads)
        conditions = Counters.read().since(before)
    return Session(
        path, found, settings, recordings, calibrated, calibration, after, still, conditions, card, host,
        len(texts),
    )  # fmt: skip


def look_at(card: CardWatch | None, path: QueryPath, texts: Sequence[str]) -> None:
    """While it answers queries that are not timed."""
    if card is not None:
        card.look(lambda: timed(path, texts[:1]))


def distinct_queries(dataset: Dataset) -> list[str]:
    """Texts of the judged queries, equal ones once."""
    return list(dict.fromkeys(dataset.queries.values()))


def session_gates(session: Session, stored: Baseline | None) -> list[Gate]:
    """Of the protocol's section on gates, in its order."""
    paths = session.references.paths
    ratio_of_parts = session.matched_ratio or session.bm25_ratio
    return [
        *(_variation_gate(name, session.recordings[name]) for name in paths),
        *_baseline_gates(session, stored),
        gates.ratio_gate(ratio_of_parts.variation),
        *gates.processor_gates(session.conditions),
        *(gates.card_gates(session.card.looks) if session.card else ()),
        gates.overhead_gate(session.overhead_us),
    ]


def _variation_gate(name: str, recording: Recording) -> Gate:
    blocks = recording.totals
    return gates.variation_gate(name, block_variation(blocks, p50), block_variation(blocks, mean))


def _baseline_gates(session: Session, stored: Baseline | None) -> list[Gate]:
    """Of both calibrations; what both say alike, of a baseline of another host, stands once."""
    before = against_baseline(session, stored, session.calibration)
    after = against_baseline(session, stored, session.calibration_after, "after the loop")
    return [*before, *(gate for gate in after if gate not in before)]


def against_baseline(
    session: Session, stored: Baseline | None, calibration: Mapping[str, float], when: str = ""
) -> list[Gate]:
    """Of a calibration of the session's references. `when`: see `gates.baseline_gates`."""
    if stored is None:
        return gates.baseline_gates(calibration, None, when)
    if stored.host != session.host.hash:
        return [gates.foreign_baseline_gate(stored.host, session.host.hash)]
    return gates.baseline_gates(calibration, stored.times_ms, when)


def _documents(dataset: Dataset) -> Documents:
    if dataset.documents is None:
        problem = f"{dataset.name} has no corpus, and the latency track's references need one"
        raise EvaluationError("DATASET-CORPUS", problem)
    return dataset.documents
