"""Which references a system's session is held against, so that these are calibrated and no others.

A superset of what `evaluations.latency.references` then finds: whether an encoder looks up or computes, and
whether given vectors are sparse, is known only where they are loaded.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from evaluations.latency.baseline import reference_key
from evaluations.latency.references import BM25, ENCODER, SCAN, encoder_location
from evaluations.systems import kind_of
from leaderboard.catalog.members import Part

THREADS = 1  # a worker's sessions give a query one
PRECISION = "precision"  # the option of kinds that encode by a model
NO_SCAN = {"bm25", "sparse", "rerank", "fusion"}  # their own search is sparse, or they have none


@dataclass(frozen=True)
class Needs:
    """`device`: cpu or cuda, of the encoders and the scan. `precisions`: of the encoders."""

    device: str
    precisions: tuple[str, ...]
    scan: bool

    @property
    def references(self) -> frozenset[str]:
        """By the keys of a baseline. BM25 is always there, and always on a processor."""
        encoders = [reference_key(ENCODER, self.device, THREADS, each) for each in self.precisions]
        scans = [reference_key(SCAN, self.device, THREADS)] if self.scan else []
        return frozenset([reference_key(BM25, "cpu", THREADS), *encoders, *scans])


def needs_of(parts: Iterable[Part], device: str) -> Needs:
    """Of a revision's parts, and `cpu` or `gpu`. A host without the encoder's model has none to calibrate."""
    parts = list(parts)
    models = [part for part in parts if kind_of(part.kind).option(PRECISION)]
    precisions = sorted({str(part.options.get(PRECISION, "fp32")) for part in models})
    return Needs(
        device="cuda" if device == "gpu" and models else "cpu",
        precisions=tuple(precisions) if precisions and encoder_location() else (),
        scan=any(part.kind not in NO_SCAN for part in parts),
    )
