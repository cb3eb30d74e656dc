"""What the references took on this host when it was known to be well: the calibration and its file.

A calibration is always of the same work: the queries and documents of `mini`. So a session on any dataset can
begin with one and be compared with the stored one.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluations import provenance
from evaluations.artefacts import write_atomically
from evaluations.datasets import load
from evaluations.errors import EvaluationError
from evaluations.latency import references
from evaluations.latency.harness import Times, timed
from evaluations.latency.host import HostProfile
from evaluations.latency.references import BM25, ENCODER, SCAN
from evaluations.latency.schedule import CHUNK, LEAST_WARMUP, query_order
from evaluations.latency.statistics import calibrated
from evaluations.systems.abilities import EXACT_ENGINE, QueryPath

SCHEMA = 1
K = 10
LEAST_CHUNKS = 5
LEAST_NS = 1_000_000_000
SEED = 60
# Whose versions decide what a reference takes on one machine, beside our own.
DECIDING = (
    "python", "numpy", "numba", "PyStemmer", "torch", "transformers", "tokenizers", "sentence-transformers",
)  # fmt: skip


@dataclass(frozen=True)
class Baseline:
    """`times_ms` by `key_of` and statistic, as `bm25 cpu 1 p50`. `host`: the hash of the host's profile."""

    host: str
    times_ms: Mapping[str, float]
    measured: str

    def write(self, path: Path, profile: HostProfile) -> None:
        """With the whole profile beside it, for a person."""
        content = {
            "schema": SCHEMA,
            "host": profile.to_dict(),
            "times_ms": dict(self.times_ms),
            "measured": self.measured,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def read_baseline(path: Path) -> Baseline:
    """Raises EvaluationError `BASELINE`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema is {content['schema']!r:.20}, not {SCHEMA}")
        found = {str(name): float(value) for name, value in content["times_ms"].items()}
        if not all(0 < value < float("inf") for value in found.values()):
            raise ValueError("a time that is no positive number")
        return Baseline(str(content["host"]["hash"]), found, str(content["measured"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{path}: {type(error).__name__}: {error}"
        raise EvaluationError(
            "BASELINE", f"{problem}; write one by python -m evaluations host --write FILE"
        ) from error


def key_of(name: str, path: QueryPath, threads: int) -> str:
    """A reference with what else decides its time: `bm25 cpu 1`, `encoder cpu 1 bf16`."""
    reference = name.partition(" ")[0]  # of `encoder bf16`, beside an `encoder` of another precision
    return reference_key(reference, path.device, threads, path.precision)


def reference_key(reference: str, device: str, threads: int, precision: str = "") -> str:
    """`reference`: BM25, SCAN or ENCODER, of which the precision counts alone."""
    return f"{reference} {device} {threads}" + (f" {precision}" if reference == ENCODER else "")


def deciding_versions(versions: Mapping[str, str]) -> dict[str, str]:
    """Of a host profile's versions, and of the references and their search, those that must be equal.

    Times that were measured with others say something of these, and nothing of the machine. The encoder's
    files are among them, where it is here: any may bear its name.
    """
    known = {name: versions[name] for name in DECIDING if name in versions}
    content = references.encoder_content()
    encoder = {} if content is None else {"encoder": content}
    return {**known, "search": EXACT_ENGINE, "references": references.DESCRIPTION, **encoder}


def calibration_paths(device: str, precisions: Sequence[str]) -> dict[str, QueryPath]:
    """BM25 over `mini`, the scan, and an encoder of each precision, left out where its model is not here."""
    found = {BM25: mini_bm25(), SCAN: references.scan_path(device, K)}
    encoders = {f"{ENCODER} {each}": references.encoder_path(device, each) for each in precisions}
    return found | {name: path for name, path in encoders.items() if path is not None}


def calibrate(paths: Mapping[str, QueryPath], threads: int) -> dict[str, float]:
    """Milliseconds of each path over the queries of `mini`, by `key_of` and statistic, in `quiet`."""
    texts = list(dict.fromkeys(load("mini", corpus=False).queries.values()))
    return {
        f"{key_of(name, path, threads)} {statistic}": value
        for name, path in paths.items()
        for statistic, value in calibrated(_chunks(path, texts)).items()
    }


def new_baseline(profile: HostProfile, found: Mapping[str, float]) -> Baseline:
    return Baseline(profile.hash, dict(found), provenance.now())


def mini_bm25() -> QueryPath:
    """BM25 over `mini`: what a session on another dataset is calibrated by."""
    documents = load("mini").documents
    assert documents is not None  # noqa: S101 - it comes with the package
    return references.bm25_path(documents, K)


def _chunks(path: QueryPath, texts: list[str]) -> NDArray[np.int64]:
    """Times of whole queries in ns, shape (chunks, queries of a chunk)."""
    order = query_order(len(texts), SEED)
    timed(path, [texts[place] for place in islice(order, LEAST_WARMUP)])
    chunks: list[Times] = []
    started = time.perf_counter_ns()
    while len(chunks) < LEAST_CHUNKS or time.perf_counter_ns() - started < LEAST_NS:
        chunks.append(timed(path, [texts[place] for place in islice(order, CHUNK)]))
    totals: NDArray[np.int64] = np.array(chunks, dtype=np.int64).sum(axis=2)
    return totals
