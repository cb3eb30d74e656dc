"""One session: a system and the references in turns, the gates, and what may then be published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from evaluations.datasets import Dataset, Documents
from evaluations.errors import EvaluationError
from evaluations.latency import baseline, gates, gpu, references
from evaluations.latency.baseline import Baseline
from evaluations.latency.conditions import Change, Counters
from evaluations.latency.gates import Gate
from evaluations.latency.harness import EMPTY, Recording, alternate, empty_path
from evaluations.latency.host import HostProfile, host_profile
from evaluations.latency.quiet import Quiet, quiet
from evaluations.latency.references import BM25, SEARCHING, References
from evaluations.latency.schedule import Schedule
from evaluations.latency.statistics import Block, Ratio, block_variation, mean, p50, ratio
from evaluations.latency.throughput import Plan
from evaluations.progress import Progress
from evaluations.protocol import Fact
from evaluations.systems.abilities import QueryPath

SYSTEM = "system"
K = 10


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
    """What was recorded, before anything is concluded from it."""

    path: QueryPath
    references: References
    settings: Settings
    recordings: Mapping[str, Recording]
    calibration: Mapping[str, float]
    quiet: Quiet
    conditions: Mapping[str, Change]
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
            "query_loop": str(self.settings.schedule) + ("; looped" if self.looped else ""),
            "references": references.DESCRIPTION,
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
        """Whether some queries were timed more than once, since there are too few."""
        return self.samples > self.distinct_queries


def record(
    path: QueryPath,
    dataset: Dataset,
    settings: Settings,
    progress: Progress,
    known: References | None = None,
) -> Session:
    """Runs the references' calibration and then the timed loop. `known`: the references, if they are there.

    Raises EvaluationError `DATASET-CORPUS`.
    """
    host, texts = host_profile(), distinct_queries(dataset)
    with progress.stage("loading"):
        found = known or references.references_for(path, _documents(dataset), settings.k, settings.threads)
        calibrated = {**found.paths, BM25: baseline.mini_bm25()}
    least = settings.schedule.blocks * settings.schedule.chunks * settings.schedule.chunk
    with progress.stage("timing", total=least), quiet(settings.threads) as still:
        before = Counters.read()
        calibration = baseline.calibrate(calibrated, settings.threads)
        recordings = alternate(
            {SYSTEM: path, EMPTY: empty_path(), **found.paths},
            texts, settings.schedule, on_queries_done=progress.advance,
        )  # fmt: skip
        conditions = Counters.read().since(before)
    return Session(path, found, settings, recordings, calibration, still, conditions, host, len(texts))


def distinct_queries(dataset: Dataset) -> list[str]:
    """Texts of the judged queries, equal ones once."""
    return list(dict.fromkeys(dataset.queries.values()))


def session_gates(session: Session, stored: Baseline | None) -> list[Gate]:
    """Of the protocol's section on gates, in its order."""
    conditions, paths = session.conditions, session.references.paths
    ratio_of_parts = session.matched_ratio or session.bm25_ratio
    on_card = session.path.device == "cuda"
    return [
        *(_variation_gate(name, session.recordings[name]) for name in paths),
        *_baseline_gates(session, stored),
        gates.ratio_gate(ratio_of_parts.variation),
        gates.throttling_gate("thermal throttling", conditions["thermal_throttles"]),
        gates.throttling_gate("quota throttling", conditions["quota_throttles"]),
        *(gates.card_gates(gpu.others(), gpu.throttled()) if on_card else ()),
    ]


def _variation_gate(name: str, recording: Recording) -> Gate:
    blocks = recording.totals
    return gates.variation_gate(name, block_variation(blocks, p50), block_variation(blocks, mean))


def _baseline_gates(session: Session, stored: Baseline | None) -> list[Gate]:
    if stored is None:
        return gates.baseline_gates(session.calibration, None)
    if stored.host != session.host.hash:
        return [gates.foreign_baseline_gate(stored.host, session.host.hash)]
    return gates.baseline_gates(session.calibration, stored.times_ms)


def _documents(dataset: Dataset) -> Documents:
    if dataset.documents is None:
        problem = f"{dataset.name} has no corpus, and the latency track's references need one"
        raise EvaluationError("DATASET-CORPUS", problem)
    return dataset.documents
