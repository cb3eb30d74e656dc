"""What a person needs to read a metric; one file a group of them.

Keys are the reports' own. Labels and rounding may change without touching data: they are no keys anywhere.
"""

import re
from collections.abc import Sequence

from . import effectiveness, latency, model, points, representation
from .effectiveness import PRIMARY
from .kinds import NBSP, Across, Family, Group, Metric, Scope, Style

__all__ = [
    "METRICS", "NBSP", "PRIMARY", "Across", "Family", "Group", "Metric", "Scope", "Style",
    "describe", "ordered",
]  # fmt: skip

# The order in which pages show them.
_KNOWN: tuple[Metric, ...] = (
    *effectiveness.METRICS,
    *model.METRICS,
    *points.METRICS,
    *representation.METRICS,
    *latency.METRICS,
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
        return Metric(name, label, Group.LATENCY, Style.MILLISECONDS, False, scope=Scope.TIMES)
    if name.endswith(latency.OF_HOST):
        return Metric(name, label, Group.LATENCY, Style.NUMBER, None, scope=Scope.TIMES)
    return Metric(name, label, Group.SPARSITY, Style.NUMBER, None)


def ordered(names: Sequence[str] | set[str]) -> list[Metric]:
    """In the order of the list above, then by name."""
    places = {name: place for place, name in enumerate(METRICS)}
    return [describe(name) for name in sorted(names, key=lambda name: (places.get(name, len(places)), name))]
