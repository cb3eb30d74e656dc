"""The latency track: a session's findings under the names that a report uses."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from evaluations.datasets import Dataset
from evaluations.latency import gates, search_alone
from evaluations.latency.approximate import measure_engines
from evaluations.latency.baseline import Baseline
from evaluations.latency.gates import Gate
from evaluations.latency.harness import EMPTY, PARTS, Recording
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
from evaluations.latency.throughput import measure_throughput
from evaluations.progress import Progress
from evaluations.systems.abilities import KnowsQueries, QueryPath, Timed
from evaluations.tracks import Findings

_MS, _US = 1e-6, 1e-3  # of a nanosecond

Value = float | int | None
Named = tuple[str, Value, Interval | None]


def measure_latency(
    system: Timed, dataset: Dataset, settings: Settings, progress: Progress, stored: Baseline | None = None
) -> Findings:
    """Times an indexed system's way to the first k of a dataset's queries. `stored`: the host's baseline.

    A session that fails a gate has `rejected` in its details, and no metric. Raises EvaluationError
    `DATASET-CORPUS`.
    """
    if isinstance(system, KnowsQueries):
        system.name_queries(dataset.queries)
    path = system.query_path(settings.k, settings.threads)
    memory = _memory()  # before the references: what they hold is not the system's
    session = record(path, dataset, settings, progress)
    found = findings(session, session_gates(session, stored)) | _without_vector(path, dataset)
    if "rejected" in found.details:
        return found
    with progress.stage("timing"):
        if settings.throughput is not None:
            found |= memory | measure_throughput(system, dataset, settings.k, settings.throughput)
        return found | _engines(system, path, dataset, settings) if settings.engines else found


def _without_vector(path: QueryPath, dataset: Dataset) -> Findings:
    """How many of the distinct queries were timed and find nothing, since nobody sent their vectors."""
    if path.is_whole:
        return Findings()
    vectors = [path.encode(path.tokenise(text)) for text in distinct_queries(dataset)]
    return Findings(details={"queries_without_vector": sum(vector is None for vector in vectors)})


def _engines(system: Timed, path: QueryPath, dataset: Dataset, settings: Settings) -> Findings:
    """On a card nothing is compared: these engines search on processors."""
    if path.device != "cpu" or not hasattr(system, "document_vectors"):
        return Findings(details={"engines": []})
    return measure_engines(path, lambda: system.document_vectors, distinct_queries(dataset), settings.k)


def _memory() -> Findings:
    """Of loading, encoding and indexing."""
    peaks = {"peak_memory_bytes": peak_host_bytes(), "peak_card_memory_bytes": peak_card_bytes()}
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
        "harness_overhead_p50_us": _p50(session.recordings[EMPTY]) * _US,
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
