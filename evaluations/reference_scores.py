"""What the reference systems reach on `mini`: a machine that does not reproduce it must not publish results.

BM25's scores are float64 sums, the same everywhere. A neural model's products differ in their last digits by
machine and precision, which may swap two neighbours of a ranking.
"""

from dataclasses import dataclass

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True)
class ReferenceScore:
    """`system` as `--system` takes it; `metric` of its retrieval track on `mini`."""

    system: str
    metric: str
    expected: float
    tolerance: float


REFERENCE_SCORES = (
    ReferenceScore("bm25", "nDCG@10", 0.6582824410138595, 1e-6),
    ReferenceScore(f"dense:{ENCODER}", "nDCG@10", 0.7682590901812123, 0.002),
)
