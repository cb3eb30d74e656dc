"""What a track of an evaluation found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

LATENCY = "latency"
TRACKS = ("retrieval", "sparsity", LATENCY)

Metrics = Mapping[str, float | int | None]


@dataclass(frozen=True)
class Findings:
    """`metrics`: name to number, None where one does not apply. `reasons`: why, for each None.

    `details`: what is not flat (parameters of the index, engine, counts), as JSON values. `arrays`: what is
    too large for the report and is written beside it, by name of the file.
    """

    metrics: Metrics = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __or__(self, other: "Findings") -> "Findings":
        """Both; where both name a thing, the other's word counts."""
        return Findings(
            {**self.metrics, **other.metrics},
            {**self.reasons, **other.reasons},
            {**self.details, **other.details},
            {**self.arrays, **other.arrays},
        )


def not_applicable(reason: str, *names: str) -> Findings:
    return Findings(dict.fromkeys(names), dict.fromkeys(names, reason))
