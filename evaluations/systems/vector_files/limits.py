"""What a folder of vectors may at most hold, and how it is refused: file, place, what to do."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluations.errors import EvaluationError

LONGEST_VECTOR = 1e19  # the product of two such vectors is still a float32


@dataclass(frozen=True)
class VectorLimits:
    """`bytes` counts after unpacking; a packed file unpacks to `spare_bytes` and `ratio` times its size."""

    bytes: int = 64 * 1024**3
    spare_bytes: int = 64 * 1024**2
    ratio: int = 40
    line_bytes: int = 4 * 1024**2
    rows: int = 20_000_000
    dense_dimensions: int = 65_536
    sparse_dimensions: int = 1_000_000

    def unpacked_bytes(self, packed: int) -> int:
        return min(self.bytes, self.spare_bytes + self.ratio * packed)


def refusal(code: str, path: Path, problem: str) -> EvaluationError:
    return EvaluationError(f"VECTORS-{code}", f"{path.name}{problem}")


def size_of(path: Path, limits: VectorLimits) -> int:
    size = path.stat().st_size
    if size > limits.bytes:
        raise refusal("SIZE", path, f" has {size:,} bytes; at most {limits.bytes:,} are read")
    return size


def check_rows(path: Path, rows: int, limits: VectorLimits) -> None:
    if rows > limits.rows:
        raise refusal("SIZE", path, f" has {rows:,} vectors; at most {limits.rows:,} are read")


def first_unfit(norms: NDArray[np.float64]) -> tuple[int, str] | None:
    """The first of the vectors whose length is no number or too large, and why it is refused."""
    unfit = np.flatnonzero(~(norms <= LONGEST_VECTOR))
    if not len(unfit):
        return None
    problem = "has values that are not finite" if not np.isfinite(norms[unfit[0]]) else "is too long"
    advice = "NaN and infinity have no place in a vector" if "finite" in problem else "scale the vectors down"
    return int(unfit[0]), f"{problem}; {advice}"
