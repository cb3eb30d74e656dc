"""Fewer terms in a document's vector."""

from evaluations.sparsity.sweeps.base import ChangedVectors, Facts, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.terms import kept_share, longest, most_weighty
from evaluations.sparsity.sweeps.vectors import Encoded


def _keep(encoded: Encoded, value: str) -> ChangedVectors:
    encoded.require("sparse")
    documents = most_weighty(encoded.documents, int(value))
    level = 1.0 - kept_share(documents, encoded.documents)
    return ChangedVectors(encoded.with_vectors(documents, encoded.queries), Facts(int(value), level))


def _unmodified(subject: Subject) -> Facts:
    subject.encoded.require("sparse")
    return Facts(longest(subject.encoded.documents), 0.0)


SWEEP = Sweep(
    name="document-terms",
    title="Terms a document keeps",
    help="Each document keeps its k terms of greatest weight; the index shrinks with them. "
    "Terms of equal weight: the one with the lower number is kept.",
    source="static pruning of learned sparse indexes: Lassance et al. 2023",
    kinds=("sparse", "vectors"),
    axis="terms kept a document",
    unit="terms",
    variants=(
        Variant(
            "top", "Greatest weights", "The k terms of greatest weight.",
            Values("integer", ("8", "16", "32", "64", "128"), 1, 100_000), vectors=_keep,
        ),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)  # fmt: skip
