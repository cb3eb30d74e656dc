"""The latency track: a session's findings under the names that a report uses."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from evaluations.datasets import Dataset
from evaluations.latency import approximate, gates, search_alone, throughput
from evaluations.latency.afterwards import checked
from evaluations.latency.approximate import measure_engines
from evaluations.latency.baseline import Baseline
from evaluations.latency.gates import Gate
from evaluations.latency.harness import PARTS, Recording
from evaluations.latency.memory import peak_card_bytes, peak_host_bytes
from evaluations.latency.session import (
    SYSTEM,
    Session,
    Settings,
    distinct_queries,
    record,
    session_gates,
)
from evaluations.latency.statistics import P99_SAMPLES, Interval, block_variation, mean, p50, summary
from evaluations.latency.throughput import Plan, measure_throughput
from evaluations.progress import Progress
from evaluations.systems.abilities import KnowsQueries, QueryPath, Timed
from evaluations.tracks import Findings

_MS = 1e-6  # of a nanosecond

Value = float | int | None
Named = tuple[str, Value, Interval | None]


def measure_latency(
    system: Timed, dataset: Dataset, settings: Settings, progress: Progress, stored: Baseline | None = None
) -> Findings:
    """Times an indexed system's way to the first k of a dataset's queries. `stored`: the host's baseline.

    A session that fails a gate has `rejected` in its details, and no metric. Throughput and engines have
    gates of their own (see `afterwards`). Raises EvaluationError `DATASET-CORPUS`.
    """
    if isinstance(system, KnowsQueries):
        system.name_queries(dataset.queries)
    path = system.query_path(settings.k, settings.threads)
    memory = _memory(path)  # before the references: what they hold is not the system's
    session = record(path, dataset, settings, progress)
    found = findings(session, session_gates(session, stored)) | _without_vector(path, dataset)
    if "rejected" in found.details:
        return found
    with progress.stage("timing"):
        if settings.throughput is not None:
            found |= memory | _throughput(system, dataset, session, stored, settings.throughput)
        return found | _engines(system, dataset, session, stored) if settings.engines else found


def _without_vector(path: QueryPath, dataset: Dataset) -> Findings:
    """How many of the distinct queries were timed and find nothing, since nobody sent their vectors."""
    if path.is_whole:
        return Findings()
    vectors = [path.encode(path.tokenise(text)) for text in distinct_queries(dataset)]
    return Findings(details={"queries_without_vector": sum(vector is None for vector in vectors)})


def _throughput(
    system: Timed, dataset: Dataset, session: Session, stored: Baseline | None, plan: Plan
) -> Findings:
    def measure() -> Findings:
        return measure_throughput(system, dataset, session.settings.k, plan)

    texts = distinct_queries(dataset)
    return checked("throughput", session, stored, texts, measure, throughput.withheld)


def _engines(system: Timed, dataset: Dataset, session: Session, stored: Baseline | None) -> Findings:
    """On a card nothing is compared: these engines search on processors."""
    path, texts = session.path, distinct_queries(dataset)
    if path.device != "cpu" or not approximate.installed(path) or not hasattr(system, "document_vectors"):
        return Findings(details={"engines": []})

    def measure() -> Findings:
        return measure_engines(path, lambda: system.document_vectors, texts, session.settings.k)

    return checked("engines", session, stored, texts, measure, approximate.withheld)


def _memory(path: QueryPath) -> Findings:
    """Of loading, indexing, and encoding the documents, but for those whose vectors a cache had."""
    peaks = {"peak_memory_bytes": peak_host_bytes(), "peak_card_memory_bytes": peak_card_bytes(path.device)}
    reasons = {"peak_memory_bytes": "cannot be read here", "peak_card_memory_bytes": "no card was used"}
    return Findings(peaks, {name: reasons[name] for name, value in peaks.items() if value is None})


def findings(session: Session, checked: Sequence[Gate]) -> Findings:
    """The session's metrics where no gate failed, its rejection otherwise."""
    details = {**_details(session), "gates": [gate.to_dict() for gate in checked]}
    reason = gates.rejection(checked)
    if reason is not None:
        return Findings(details={"rejected": reason, **details})
    found = [_published(*named, session) for named in (*_latencies(session), *_ratios(session))]
    metrics = {"latency_samples": session.samples, **{name: value for name, value, _ in found}}
    intervals = {name: [between.low, between.high] for name, _, between in found if between}
    reasons = {name: _reason(name, session) for name, value in metrics.items() if value is None}
    return Findings(metrics, reasons, {**details, "intervals": intervals})


def _published(name: str, value: Value, interval: Interval | None, session: Session) -> Named:
    withheld = search_alone.is_withheld(name, session.path)
    return (name, None, None) if withheld else (name, value, interval)


def _latencies(session: Session) -> Iterator[Named]:
    recording, seed = session.recordings[SYSTEM], session.settings.schedule.seed
    parts = {f"query_{part}": [block[..., place] for block in recording.blocks] for place, part in _PLACES}
    for prefix, blocks in {"query": recording.totals, **parts}.items():
        summed = summary(blocks, seed)
        for point in ("p50", "p95", "p99", "mean"):
            yield f"{prefix}_latency_{point}_ms", getattr(summed, point), summed.intervals.get(point)


def _ratios(session: Session) -> Iterator[Named]:
    bm25, matched = session.bm25_ratio, session.matched_ratio
    yield "latency_ratio_bm25_p50", bm25.value, bm25.interval
    if matched is None:
        yield "latency_ratio_matched_p50", None, None
    else:
        yield "latency_ratio_matched_p50", matched.value, matched.interval


def _reason(name: str, session: Session) -> str:
    if search_alone.is_withheld(name, session.path):
        return search_alone.REASON
    if name.startswith("latency_ratio"):
        return "; ".join(dict.fromkeys(session.references.absent.values()))
    return f"{session.samples:,} samples; a p99 needs {P99_SAMPLES:,}"


def _details(session: Session) -> dict[str, object]:
    path = session.path
    return {
        "session": session.protocol_facts(),
        "system": {
            "encoder": path.encoder,
            "index": path.index,
            "precision": path.precision,
            **({"parts": [asdict(part) for part in path.parts]} if path.parts else {}),
        },
        "matched_reference": str(session.references.matched),
        "references": {name: _reference(session.recordings[name]) for name in session.references.paths},
        "calibration_ms": dict(session.calibration),
        "calibration_after_ms": dict(session.calibration_after),
        "harness_overhead_p50_us": session.overhead_us,
        "queries": {
            "distinct": session.distinct_queries,
            "timed": session.samples,
            "looped": session.looped,
            "seed": session.settings.schedule.seed,
        },
        "cores": list(session.quiet.cores) if session.quiet.cores else "unknown",
        "conditions": dict(session.conditions),
        "host": session.host.to_dict(),
    }


def _reference(recording: Recording) -> dict[str, float]:
    blocks = recording.totals
    return {
        "p50_ms": _p50(recording) * _MS,
        "p50_variation": block_variation(blocks, p50),
        "mean_variation": block_variation(blocks, mean),
    }


def _p50(recording: Recording) -> float:
    return p50(np.concatenate([block.ravel() for block in recording.totals]))


_PLACES = tuple(enumerate(PARTS))
