"""What a system gets through: queries and documents a second, its index's making and size."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets import Dataset, Documents
from evaluations.encoding.threads import allowed_cores
from evaluations.latency import search_alone
from evaluations.latency.loops import LOAD, closed_loop, open_loop
from evaluations.latency.quiet import quiet
from evaluations.latency.schedule import CHUNK
from evaluations.latency.statistics import P99_SAMPLES, points
from evaluations.systems.abilities import Built, Indexed, QueryPath, Timed
from evaluations.tracks import Findings, not_applicable

SIZES = ("index_resident_bytes", "index_disk_bytes")
DOCUMENTS = ("documents_per_second", "index_build_s", *SIZES)
_SECOND = 1e9


@dataclass(frozen=True)
class Plan:
    """`closed_s` for each number of clients; the open loop lasts about `open_s`, with bounded arrivals."""

    seed: int = 7
    closed_s: float = 2.0
    open_s: float = 10.0
    least_arrivals: int = 200
    most_arrivals: int = 10_000
    documents: int = 128
    clients: tuple[int, ...] = field(default_factory=lambda: client_counts(allowed_cores()))


def client_counts(cores: int) -> tuple[int, ...]:
    """1, 2, 4 ... and the number of cores."""
    doubling = [2**power for power in range(cores.bit_length()) if 2**power < cores]
    return (*doubling, cores)


def measure_throughput(system: Timed, dataset: Dataset, k: int, plan: Plan) -> Findings:
    """Threads of one process, each query in one thread. Latencies under load count the waiting."""
    texts = list(dict.fromkeys(dataset.queries.values()))
    paths = [system.query_path(k, threads=1)] * max(plan.clients)  # what it reads is shared, as in a server
    with quiet(threads=1, cores=max(plan.clients)):
        rates = {
            clients: closed_loop(paths[:clients], texts, plan.seed, plan.closed_s) for clients in plan.clients
        }
        found = _closed(rates) | _under_load(paths, texts, rates[max(rates)], plan)
    if not paths[0].is_whole:
        found = search_alone.as_details(found)
    if isinstance(system, Indexed) and dataset.documents is not None:
        return found | _making(system, dataset.documents, plan)
    return found | not_applicable("made of other systems, each of which has its own", *DOCUMENTS)


def withheld(found: Findings, reason: str) -> Findings:
    """Without what time decides: sizes stay, and so do the reasons of what is None anyway."""
    metrics = {name: value if name in SIZES else None for name, value in found.metrics.items()}
    reasons = {name: found.reasons.get(name, reason) for name, value in metrics.items() if value is None}
    return Findings(metrics, reasons, {name: found.details[name] for name in {"making"} & set(found.details)})


def _closed(rates: Mapping[int, float]) -> Findings:
    by_clients = {str(clients): rate for clients, rate in rates.items()}
    return Findings({"queries_per_second": rates[max(rates)]}, details={"closed_loop": by_clients})


def _under_load(paths: Sequence[QueryPath], texts: Sequence[str], most: float, plan: Plan) -> Findings:
    rate = LOAD * most
    count = int(min(max(rate * plan.open_s, plan.least_arrivals), plan.most_arrivals))
    found = open_loop(paths, texts, rate, count, plan.seed)
    times = points(found.latencies_ns)
    metrics = {f"open_loop_latency_{point}_ms": times.get(point) for point in ("p50", "p95", "p99")}
    named = {"open_loop_queries_per_second": rate, **metrics}
    reason = f"{count:,} arrivals; a p99 needs {P99_SAMPLES:,}"
    reasons = {name: reason for name, value in named.items() if value is None}
    return Findings(named, reasons, {"open_loop": {"arrivals": count, "load": LOAD, "seed": plan.seed}})


def _making(system: Indexed, documents: Documents, plan: Plan) -> Findings:
    """Encoding is by all cores: a corpus is encoded once, and nobody waits for one document.

    An index takes of them what its making can use: a dense one all, a sparse or a multi-vector one a single.
    """
    cores = max(plan.clients)
    sample = _sample(documents.texts, plan) if isinstance(system, Built) else []
    with quiet(threads=cores, cores=cores):
        rate = _encoded_per_second(system, sample) if isinstance(system, Built) else None
        started = time.perf_counter_ns()
        arrays = system.build_index(cores)
        built = time.perf_counter_ns()
    resident = sum(int(array.nbytes) for array in arrays)
    values = (rate, (built - started) / _SECOND, resident, disk_bytes(arrays))
    reasons = {} if rate is not None else {DOCUMENTS[0]: "vectors of documents were made elsewhere"}
    details = {"documents_encoded": len(sample), "threads": cores}
    return Findings(dict(zip(DOCUMENTS, values, strict=True)), reasons, {"making": details})


def _encoded_per_second(system: Built, sample: Sequence[str]) -> float:
    system.encode_documents(sample[:CHUNK])
    started = time.perf_counter_ns()
    system.encode_documents(sample)
    return len(sample) * _SECOND / (time.perf_counter_ns() - started)


def disk_bytes(arrays: Sequence[NDArray[Any]]) -> int:
    """What they take as numpy's files, heads included; nothing is written."""
    counter = _Counter()
    for array in arrays:
        np.lib.format.write_array(counter, np.ascontiguousarray(array), allow_pickle=False)
    return counter.count


class _Counter:
    """A file that only counts."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, content: bytes) -> int:
        self.count += len(content)
        return len(content)


def _sample(texts: Sequence[str], plan: Plan) -> list[str]:
    """Documents drawn by the seed, without replacement."""
    generator = np.random.default_rng(plan.seed)
    drawn = generator.choice(len(texts), size=min(plan.documents, len(texts)), replace=False)
    return [texts[place] for place in drawn.tolist()]
