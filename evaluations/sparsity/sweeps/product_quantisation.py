"""Dense vectors as a few bytes each, by codebooks made of the corpus; queries stay float."""

from evaluations.errors import EvaluationError
from evaluations.sparsity.storage import FLOAT32_BYTES
from evaluations.sparsity.sweeps.base import ChangedVectors, Facts, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.codebooks import product_quantised
from evaluations.sparsity.sweeps.vectors import Encoded


def _quantise(encoded: Encoded, value: str) -> ChangedVectors:
    encoded.require("dense", "multi-vector")
    parts, (vectors, dimensions) = int(value), encoded.rows.shape
    if dimensions % parts:
        problem = f"{dimensions} dimensions cannot be cut into {parts} parts of equal length"
        raise EvaluationError("SWEEP-POINT", f"{problem}; take a divisor of {dimensions}")
    decoded, book_bytes = product_quantised(encoded.rows, parts)
    facts = Facts(
        parts,
        1.0 - parts / (dimensions * FLOAT32_BYTES),
        {"bytes_per_vector": parts, "vector_bytes": vectors * parts + book_bytes},
    )
    return ChangedVectors(encoded.with_rows(decoded), facts)


def _unmodified(subject: Subject) -> Facts:
    subject.encoded.require("dense", "multi-vector")
    return Facts(subject.encoded.rows.shape[1] * FLOAT32_BYTES, 0.0)


SWEEP = Sweep(
    name="product-quantisation",
    title="Product quantisation",
    help="The documents' vectors in m bytes: m parts of equal length, each replaced by the nearest of 256 "
    "means of that part. Queries stay float (asymmetric scores), nothing is scored again.",
    source="Jégou, Douze and Schmid 2011",
    kinds=("dense", "late-interaction", "vectors"),
    axis="bytes a vector",
    unit="bytes",
    variants=(
        Variant(
            "bytes", "Bytes a vector", "As many parts, a byte each; a divisor of the dimensions.",
            Values("integer", ("16", "32", "64"), 1, 100_000), vectors=_quantise,
        ),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)  # fmt: skip
