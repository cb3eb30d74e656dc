"""Fewer terms in a query's vector. Documents stay, and so does their index."""

from evaluations.sparsity.sweeps.base import ChangedVectors, Facts, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.terms import kept_share, longest, most_weighty
from evaluations.sparsity.sweeps.vectors import Encoded


def _keep(encoded: Encoded, value: str) -> ChangedVectors:
    encoded.require("sparse")
    queries = most_weighty(encoded.queries, int(value))
    level = 1.0 - kept_share(queries, encoded.queries)
    return ChangedVectors(encoded.with_vectors(encoded.documents, queries), Facts(int(value), level))


def _unmodified(subject: Subject) -> Facts:
    subject.encoded.require("sparse")
    return Facts(longest(subject.encoded.queries), 0.0)


SWEEP = Sweep(
    name="query-terms",
    title="Terms a query keeps",
    help="Each query keeps its k terms of greatest weight, so that fewer postings are read. "
    "Terms of equal weight: the one with the lower number is kept.",
    source="query pruning of learned sparse retrieval: Lassance and Clinchant 2022",
    kinds=("sparse", "vectors"),
    axis="terms kept a query",
    unit="terms",
    variants=(
        Variant(
            "top", "Greatest weights", "The k terms of greatest weight.",
            Values("integer", ("2", "4", "8", "16", "32"), 1, 100_000), vectors=_keep,
        ),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)  # fmt: skip
