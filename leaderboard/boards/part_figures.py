"""What each part of a system made of others has by itself, from the report of its sparsity track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.submissions.models import Evaluation, Track

from .metrics import Metric, ordered


@dataclass(frozen=True)
class PartFigures:
    """`names`: what the parts are called. `rows`: a metric with one value a part, None where it has none."""

    names: Sequence[str]
    rows: Sequence[tuple[Metric, Sequence[float | None]]]


def part_figures(evaluation: Evaluation | None) -> PartFigures | None:
    """None for a system that is made of no others."""
    report: Mapping[str, Any] = (evaluation.report if evaluation else None) or {}
    parts = report.get("tracks", {}).get(Track.SPARSITY.value, {}).get("members") or []
    if not parts:
        return None
    metrics = [part.get("metrics", {}) for part in parts]
    known = {name for found in metrics for name, value in found.items() if value is not None}
    rows = [(metric, [found.get(metric.name) for found in metrics]) for metric in ordered(known)]
    return PartFigures([str(part.get("part", "")) for part in parts], rows)
