"""Shorter texts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from evaluations.sparsity.sweeps.base import Altered, Facts, Sides, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.lengths import length_of

TOKENS = Values("integer", ("32", "64", "128"), 1, 131_072)


@contextmanager
def _shortened(subject: Subject, value: str, sides: Sides) -> Iterator[Altered]:
    """Another system with the option that its kind has for it; queries are never filled up to be longer."""
    tokens = int(value)
    options = dict(subject.spec.options)
    if sides == "queries" and "query_length" in options:
        options["query_length"] = tokens
    else:
        options["max_length"] = tokens
        if sides == "both" and "query_length" in options and tokens < length_of(subject.system, "query"):
            options["query_length"] = tokens
    system = subject.load(replace(subject.spec, options=options))
    whole = length_of(subject.system, "query" if sides == "queries" else "document")
    yield Altered(system, lambda: Facts(tokens, 1.0 - tokens / whole))


def _both(subject: Subject, value: str) -> Any:
    return _shortened(subject, value, "both")


def _documents(subject: Subject, value: str) -> Any:
    return _shortened(subject, value, "documents")


def _queries(subject: Subject, value: str) -> Any:
    return _shortened(subject, value, "queries")


def _unmodified(subject: Subject) -> Facts:
    return Facts(length_of(subject.system, "document"), 0.0)


SWEEP = Sweep(
    name="length",
    title="Longest text",
    help="Texts are cut after n tokens, special tokens counted as the system's own limit counts them.",
    source="",
    kinds=("dense", "sparse", "late-interaction"),
    axis="longest text",
    unit="tokens",
    variants=(
        Variant("both", "Documents and queries", "Both are cut.", TOKENS, model=_both),
        Variant(
            "documents", "Documents", "Queries keep their length.", TOKENS, model=_documents,
            sides="documents",
        ),
        Variant(
            "queries", "Queries", "Documents keep their length.", TOKENS, model=_queries, sides="queries",
        ),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)  # fmt: skip
