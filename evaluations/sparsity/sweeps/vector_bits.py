"""Dense vectors in few bits a dimension; queries stay float."""

import numpy as np

from evaluations.sparsity.storage import FLOAT32_BYTES
from evaluations.sparsity.sweeps.base import ChangedVectors, Facts, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.vectors import Encoded, Float32

FLOAT_BITS = 32
_BLOCK = 16_384


def signs(rows: Float32) -> Float32:
    """1 where a dimension is above 0, -1 elsewhere."""
    return np.where(rows > 0, np.float32(1), np.float32(-1))


def linear(rows: Float32, bits: int) -> Float32:
    """Each dimension on 2^bits levels between its least and greatest value among the rows, halves to even.

    What the levels stand for, shape as the argument's: a float query's product with it is what an engine
    gets that stores the levels' numbers. A dimension without extent keeps its one value.
    """
    least, greatest = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    step = (greatest - least) / (2**bits - 1)
    divisor = np.where(step > 0, step, 1.0)
    decoded = np.empty_like(rows)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK].astype(np.float64)
        decoded[start : start + _BLOCK] = least + np.rint((block - least) / divisor) * step
    return decoded


def code_bytes(dimensions: int, bits: int) -> int:
    """Of one vector, its dimensions packed."""
    return -(-dimensions * bits // 8)


def table_bytes(dimensions: int, bits: int) -> int:
    """Least value and step of each dimension, once an index; signs need none."""
    return 0 if bits == 1 else 2 * dimensions * FLOAT32_BYTES


def _quantise(encoded: Encoded, value: str) -> ChangedVectors:
    encoded.require("dense", "multi-vector")
    bits, (vectors, dimensions) = int(value), encoded.rows.shape
    decoded = signs(encoded.rows) if bits == 1 else linear(encoded.rows, bits)
    facts = Facts(
        bits,
        1.0 - bits / FLOAT_BITS,
        {
            "bytes_per_vector": code_bytes(dimensions, bits),
            "vector_bytes": vectors * code_bytes(dimensions, bits) + table_bytes(dimensions, bits),
        },
    )
    return ChangedVectors(encoded.with_rows(decoded), facts)


def _unmodified(subject: Subject) -> Facts:
    subject.encoded.require("dense", "multi-vector")
    return Facts(FLOAT_BITS, 0.0)


SWEEP = Sweep(
    name="vector-bits",
    title="Bits a dimension",
    help="The documents' vectors in b bits a dimension, on 2^b levels between the dimension's least and "
    "greatest value in the corpus; 1 bit is the sign. Queries stay float, nothing is scored again.",
    source="scalar and binary quantisation: Yamada et al. 2021; Shakir et al. 2024",
    kinds=("dense", "late-interaction", "vectors"),
    axis="bits a dimension",
    unit="bits",
    variants=(
        Variant(
            "linear", "Linear", "Levels of equal distance; 1 bit is the sign.",
            Values("integer", ("8", "4", "1"), 1, 8, unmodified="32"), vectors=_quantise,
        ),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)  # fmt: skip
