"""The first dimensions of a vector, as Matryoshka models are trained for."""

from typing import cast

import numpy as np

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.base import ChangedVectors, Facts, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.vectors import Encoded, Float32, is_unit


def truncated(rows: Float32, dimensions: int, *, renormalised: bool) -> Float32:
    """The first dimensions of each vector, to length 1 again where asked; a zero vector stays."""
    cut: Float32 = np.ascontiguousarray(rows[:, :dimensions])
    if not renormalised:
        return cut
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    return cast("Float32", cut / np.where(norms > 0, norms, 1))


def _truncate(encoded: Encoded, value: str) -> ChangedVectors:
    encoded.require("dense", "multi-vector")
    wanted, there = int(value), encoded.rows.shape[1]
    if wanted > there:
        raise EvaluationError("SWEEP-POINT", f"the vectors have {there} dimensions, fewer than {wanted}")
    facts = Facts(wanted, 1.0 - wanted / there)
    if wanted == there:  # dividing by the length once more would round once more
        return ChangedVectors(encoded, facts)
    unit = is_unit(encoded.rows)
    documents = truncated(encoded.rows, wanted, renormalised=unit)
    queries = truncated(encoded.query_rows, wanted, renormalised=unit)
    return ChangedVectors(encoded.with_rows(documents, queries), facts)


def _unmodified(subject: Subject) -> Facts:
    subject.encoded.require("dense", "multi-vector")
    return Facts(subject.encoded.rows.shape[1], 0.0)


SWEEP = Sweep(
    name="dimensions",
    title="Dimensions",
    help="The first d dimensions of every vector; where vectors have length 1, they are brought to it again.",
    source="Matryoshka representations: Kusupati et al. 2022",
    kinds=("dense", "late-interaction", "vectors"),
    axis="dimensions",
    unit="dimensions",
    variants=(
        Variant(
            "first", "First dimensions", "The first d dimensions.",
            Values("integer", ("32", "64", "128", "256"), 1, 100_000), vectors=_truncate,
        ),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)  # fmt: skip
