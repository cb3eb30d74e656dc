"""What is said of a metric: label, unit, direction, rounding, and how it is taken over a board."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

NBSP = "\N{NO-BREAK SPACE}"  # a number and its unit stay on one line


class Group(Enum):
    """Heading under which a metric stands. The value is its name in addresses."""

    QUALITY = "quality"
    SPARSITY = "sparsity"
    COST = "cost"
    LATENCY = "latency"


class Family(Enum):
    """What of a system a metric of its sparsity profile is about. The value is the heading."""

    REPRESENTATION = "Representation"
    WEIGHTS = "Weights"
    ACTIVATIONS = "Activations"
    ATTENTION = "Attention"
    EXPERTS = "Experts"
    COMPUTE = "Compute"


class Scope(Enum):
    """Between which latency sessions a number is compared and averaged: see `boards.conditions`."""

    ANYWHERE = "anywhere"
    RATIO = "under equal conditions, on any host"
    TIMES = "under equal conditions, on one host"


class Style(Enum):
    POINTS = "points"  # a share of 1, shown times 100 with one decimal, as papers print it
    PERCENT = "percent"
    COUNT = "count"  # 22.7 M
    BYTES = "bytes"  # 1.4 MB
    OPERATIONS = "operations"  # 5.43 GFLOP
    NUMBER = "number"
    MILLISECONDS = "milliseconds"
    SECONDS = "seconds"
    TIMES = "times"  # 1.25 ×


class Across(Enum):
    """How one number for a benchmark comes from its columns' numbers, all of which must be there."""

    MEAN = "mean over the datasets"
    SUM = "sum over the datasets"
    MAX = "greatest of the datasets"
    SAME = "the same on every dataset"
    POOLED = "over all datasets' vectors together"

    def combine(self, values: Sequence[float]) -> float | None:
        """None where the rule has no answer: a number that should be the same everywhere and is not."""
        if self is Across.SAME:
            return values[0] if len(set(values)) == 1 else None
        if self is Across.MAX:
            return max(values)
        if self is Across.POOLED:
            return None  # it is made of counts, not of numbers: see pooling.py
        total = math.fsum(values)
        return total / len(values) if self is Across.MEAN else total


@dataclass(frozen=True)
class Metric:
    """`higher_is_better` is None where neither direction is: the number describes and does not judge.

    `family`: where it stands in a system's sparsity profile, if it does. A metric that is not `on_board` is
    on the system's page and in exports alone.
    """

    name: str
    label: str
    group: Group
    style: Style
    higher_is_better: bool | None
    across: Across = Across.MEAN
    help: str = ""
    family: Family | None = None
    on_board: bool = True
    scope: Scope = Scope.ANYWHERE

    def format(self, value: float | None) -> str:
        """Rounded for a person; an en dash where there is no value."""
        return "–" if value is None else _FORMATS[self.style](value)


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
    Style.OPERATIONS: lambda value: _scaled(value, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP")),
    Style.NUMBER: _three_digits,
    Style.MILLISECONDS: lambda value: f"{_three_digits(value)}{NBSP}ms",
    Style.SECONDS: lambda value: f"{_three_digits(value)}{NBSP}s",
    Style.TIMES: lambda value: f"{_three_digits(value)}{NBSP}×",
}
