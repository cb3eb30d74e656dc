"""Impacts in few bits."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from evaluations.errors import EvaluationError
from evaluations.sparsity.representation import without_zeros
from evaluations.sparsity.sweeps.base import ChangedVectors, Facts, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.terms import kept_share
from evaluations.sparsity.sweeps.vectors import Encoded

FLOAT_BITS = 32


def quantised(documents: Any, bits: int) -> Any:
    """Impacts as whole numbers from 0 to 2^bits - 1, those rounded to 0 dropped; shape as the argument's.

    Linear with the greatest impact of the index as the scale, halves to even. Scores are in units of a step,
    which orders documents as multiplying by the step would. Raises EvaluationError `SWEEP-POINT` for
    impacts below zero, which have no such scale.
    """
    clean = without_zeros(documents)
    if clean.nnz and clean.data.min() < 0:
        raise EvaluationError("SWEEP-POINT", "the index has impacts below zero, which have no such scale")
    greatest = float(clean.data.max(initial=0.0))
    steps = clean.data.astype(np.float64) * ((2**bits - 1) / greatest) if greatest else clean.data
    codes = csr_array(
        (np.rint(steps).astype(np.float32), clean.indices, clean.indptr), shape=clean.shape
    )  # rint rounds halves to even
    codes.eliminate_zeros()
    return codes


def _quantise(encoded: Encoded, value: str) -> ChangedVectors:
    encoded.require("sparse")
    bits = int(value)
    documents = quantised(encoded.documents, bits)
    left = kept_share(documents, encoded.documents) * bits / FLOAT_BITS
    facts = Facts(bits, 1.0 - left, {"impact_bits": bits})
    return ChangedVectors(encoded.with_vectors(documents, encoded.queries), facts)


def _unmodified(subject: Subject) -> Facts:
    subject.encoded.require("sparse")
    return Facts(FLOAT_BITS, 0.0, {"impact_bits": FLOAT_BITS})


SWEEP = Sweep(
    name="impact-bits",
    title="Bits an impact",
    help="The documents' weights as whole numbers of few bits: linear, the index's greatest weight as the "
    "scale, halves to even, zeros dropped. Queries keep theirs.",
    source="quantised impacts: Anh et al. 2001; Mackenzie et al. 2021",
    kinds=("sparse", "vectors"),
    axis="bits an impact",
    unit="bits",
    variants=(
        Variant(
            "linear", "Linear", "Steps of equal width.",
            Values("integer", ("8", "4", "2"), 1, 16, unmodified="32"), vectors=_quantise,
        ),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)  # fmt: skip
