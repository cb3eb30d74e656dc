"""What a person needs to read a metric (label, unit, direction, rounding), and how it is taken over a board.

Keys are the reports' own. Labels and rounding may change without touching data: they are no keys anywhere.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

PRIMARY = "nDCG@10"
NBSP = "\N{NO-BREAK SPACE}"  # a number and its unit stay on one line


class Group(Enum):
    """Heading under which a metric stands. The value is its name in addresses."""

    QUALITY = "quality"
    SPARSITY = "sparsity"
    COST = "cost"


class Style(Enum):
    POINTS = "points"  # a share of 1, shown times 100 with one decimal, as papers print it
    PERCENT = "percent"
    COUNT = "count"  # 22.7 M
    BYTES = "bytes"  # 1.4 MB
    NUMBER = "number"
    MILLISECONDS = "milliseconds"


class Across(Enum):
    """How one number for a benchmark comes from its columns' numbers, all of which must be there."""

    MEAN = "mean over the datasets"
    SUM = "sum over the datasets"
    SAME = "the same on every dataset"

    def combine(self, values: Sequence[float]) -> float | None:
        """None where the rule has no answer: a number that should be the same everywhere and is not."""
        if self is Across.SAME:
            return values[0] if len(set(values)) == 1 else None
        total = math.fsum(values)
        return total / len(values) if self is Across.MEAN else total


@dataclass(frozen=True)
class Metric:
    """`higher_is_better` is None where neither direction is: the number describes and does not judge."""

    name: str
    label: str
    group: Group
    style: Style
    higher_is_better: bool | None
    across: Across = Across.MEAN
    help: str = ""

    def format(self, value: float | None) -> str:
        """Rounded for a person; an en dash where there is no value."""
        return "–" if value is None else _FORMATS[self.style](value)


def _quality(name: str, help: str) -> Metric:
    return Metric(name, name, Group.QUALITY, Style.POINTS, True, help=help)


_KNOWN = (
    _quality("nDCG@10", "Discounted gain of the first 10, over the best possible"),
    _quality("R@100", "Share of the relevant documents in the first 100"),
    _quality("R@1000", "Share of the relevant documents in the first 1000"),
    _quality("RR@10", "One over the rank of the first relevant document, 0 below rank 10"),
    _quality("AP@1000", "Mean of the precision at each relevant document"),
    _quality("P@10", "Share of the first 10 that is relevant"),
    Metric(
        "Judged@10",
        "Judged@10",
        Group.QUALITY,
        Style.PERCENT,
        None,
        help="Share of the first 10 with a judgement",
    ),
    Metric(
        "parameters",
        "Parameters",
        Group.COST,
        Style.COUNT,
        False,
        Across.SAME,
        "All parameters of the model; 0 without one",
    ),
    Metric(
        "active_parameters",
        "Active params",
        Group.COST,
        Style.COUNT,
        False,
        Across.SAME,
        "Parameters used for one token",
    ),
    Metric(
        "query_active_parameters",
        "Query params",
        Group.COST,
        Style.COUNT,
        False,
        Across.SAME,
        "Parameters used for one token of a query; 0 where encoding is a look-up",
    ),
    Metric(
        "index_bytes",
        "Index size",
        Group.COST,
        Style.BYTES,
        False,
        Across.SUM,
        "Documents' vectors as stored, all datasets together",
    ),
    Metric(
        "bytes_per_vector",
        "Bytes a vector",
        Group.COST,
        Style.BYTES,
        False,
        help="Stored bytes of one vector; late interaction has several a document",
    ),
    Metric(
        "bytes_per_document_mean",
        "Bytes a document",
        Group.COST,
        Style.BYTES,
        False,
        help="Stored bytes of a document of several vectors, mean",
    ),
    Metric(
        "document_vectors_mean",
        "Doc vectors",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Mean vectors of a document",
    ),
    Metric(
        "query_vectors_mean",
        "Query vectors",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Mean vectors of a query",
    ),
    Metric(
        "query_active_dims_mean",
        "Query terms",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Mean non-zeros of a query",
    ),
    Metric(
        "document_active_dims_mean",
        "Doc terms",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Mean non-zeros of a document",
    ),
    Metric(
        "query_sparsity_ratio",
        "Query zeros",
        Group.SPARSITY,
        Style.PERCENT,
        None,
        help="Share of zeros in a query's vector",
    ),
    Metric(
        "document_sparsity_ratio",
        "Doc zeros",
        Group.SPARSITY,
        Style.PERCENT,
        None,
        help="Share of zeros in a document's vector",
    ),
    Metric(
        "flops",
        "FLOPS",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Expected number of terms a query and a document share",
    ),
    Metric(
        "postings_per_query_mean",
        "Postings a query",
        Group.SPARSITY,
        Style.COUNT,
        False,
        help="Postings read for one query, mean",
    ),
    Metric(
        "dimensions", "Dimensions", Group.SPARSITY, Style.COUNT, None, Across.SAME, "Length of a dense vector"
    ),
    Metric(
        "weight_zeros_share",
        "Weight zeros",
        Group.SPARSITY,
        Style.PERCENT,
        None,
        Across.SAME,
        "Share of prunable weights that are zero",
    ),
)
METRICS = {metric.name: metric for metric in _KNOWN}


def describe(name: str) -> Metric:
    """The metric's display data; for one that is not listed, what its name tells."""
    if name in METRICS:
        return METRICS[name]
    if re.fullmatch(r"[A-Za-z]+(\([^)]*\))?@\d+|AP|RR|nDCG|Rprec|bpref", name):
        return Metric(name, name, Group.QUALITY, Style.POINTS, True)
    label = name.replace("_", " ").removesuffix(" ms").capitalize()
    if name.endswith("_ms"):
        return Metric(name, label, Group.COST, Style.MILLISECONDS, False)
    return Metric(name, label, Group.SPARSITY, Style.NUMBER, None)


def ordered(names: Sequence[str] | set[str]) -> list[Metric]:
    """In the order of the list above, then by name."""
    places = {name: place for place, name in enumerate(METRICS)}
    return [describe(name) for name in sorted(names, key=lambda name: (places.get(name, len(places)), name))]


def _scaled(value: float, steps: Sequence[str]) -> str:
    for step in steps[:-1]:
        if abs(value) < 999.5:
            return f"{_three_digits(value)}{NBSP}{step}".strip()
        value /= 1000
    return f"{_three_digits(value)}{NBSP}{steps[-1]}"


def _three_digits(value: float) -> str:
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    decimals = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{decimals}f}"


_FORMATS: dict[Style, Callable[[float], str]] = {
    Style.POINTS: lambda value: f"{100 * value:.1f}",
    Style.PERCENT: lambda value: f"{100 * value:.1f}{NBSP}%",
    Style.COUNT: lambda value: _scaled(value, ("", "k", "M", "B")),
    Style.BYTES: lambda value: _scaled(value, ("B", "kB", "MB", "GB", "TB")),
    Style.NUMBER: _three_digits,
    Style.MILLISECONDS: lambda value: f"{_three_digits(value)}{NBSP}ms",
}
