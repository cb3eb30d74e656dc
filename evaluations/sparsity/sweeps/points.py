"""Operating points as they are written: in the report, in `sweeps.parquet`, and each one's run."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.base import SEED
from evaluations.sparsity.sweeps.curves import DROP_RULE, KNEE_RULE
from evaluations.sparsity.sweeps.grammar import Curve, parse_sweeps

DETAIL = "sweeps"  # its place in the sparsity track's details
FOLDER = "sweeps"  # of the points' runs, beside the report
SUFFIX = ".trec.gz"


@dataclass(frozen=True)
class Point:
    """One setting of a curve. A gap has its `code` and `reason`, and neither axis nor metrics.

    `value` is None for the unmodified system, which every curve has first. `untimed`: why a point has no
    times, where they were asked for.
    """

    value: str | None
    axis: float | None = None
    level: float | None = None
    metrics: Mapping[str, float | int | None] | None = None
    reason: str | None = None
    code: str | None = None
    seconds: float = 0.0
    untimed: str | None = None

    @property
    def is_unmodified(self) -> bool:
        return self.value is None

    def with_metrics(self, more: Mapping[str, float | int | None]) -> "Point":
        return replace(self, metrics={**(self.metrics or {}), **more})

    def to_dict(self) -> dict[str, object]:
        return {
            "value": self.value,
            "is_unmodified": self.is_unmodified,
            "axis": self.axis,
            "level": self.level,
            "metrics": dict(self.metrics or {}),
            "code": self.code,
            "reason": self.reason,
            "seconds": self.seconds,
            "untimed": self.untimed,
        }


@dataclass(frozen=True)
class FoundCurve:
    """A curve with its points. `verdict`: knee and drop with their rules, once the points are judged."""

    curve: Curve
    points: tuple[Point, ...]
    verdict: Mapping[str, object] | None = None

    def to_dict(self) -> dict[str, object]:
        sweep, variant = self.curve.sweep, self.curve.variant
        return {
            "sweep": sweep.name,
            "variant": variant.name,
            "asked": str(self.curve),
            "axis": sweep.axis,
            "unit": sweep.unit,
            "is_baseline": variant.is_baseline,
            "seed": SEED,
            **(self.verdict or {}),
            "points": [point.to_dict() for point in self.points],
        }


def details(curves: Iterable[FoundCurve]) -> dict[str, object]:
    """As the sparsity track's details have them."""
    return {DETAIL: [curve.to_dict() for curve in curves]}


def curves_of(details: Mapping[str, object], kind: str) -> tuple[FoundCurve, ...]:
    """The curves in the details of a sparsity track, as they were measured.

    Raises EvaluationError `REPORT-INVALID` where they are not as `to_dict` writes them.
    """
    written = details.get(DETAIL, [])
    try:
        asked = parse_sweeps([str(each["asked"]) for each in _objects(written)], kind)
        return tuple(
            FoundCurve(curve, _points(curve, each["points"]))
            for curve, each in zip(asked, _objects(written), strict=True)
        )
    except (KeyError, TypeError, ValueError, EvaluationError) as error:
        raise EvaluationError("REPORT-INVALID", f"tracks.sparsity.{DETAIL}: {error}") from error


def run_name(curve: Curve, point: Point) -> str:
    """Where a point's run is, from the report's folder. From the request alone: a report names no files."""
    assert point.value is not None  # noqa: S101 - the unmodified run is the evaluation's own
    is_name = curve.variant.values.type == "checkpoint"
    name = str(curve.values.index(point.value) + 1) if is_name else re.sub(r"[^0-9]", "-", point.value)
    return f"{FOLDER}/{curve.folder}/{name}{SUFFIX}"


def run_names(curves: tuple[Curve, ...]) -> list[str]:
    """Of all runs that these curves may leave."""
    return [run_name(curve, Point(value)) for curve in curves for value in curve.values]


def rules(measure: str) -> dict[str, str]:
    return {"knee": KNEE_RULE.format(measure=measure), "drop": DROP_RULE.format(measure=measure)}


def _points(curve: Curve, written: object) -> tuple[Point, ...]:
    points = tuple(_point(each) for each in _objects(written))
    if [point.value for point in points] != [None, *curve.values]:
        raise ValueError(f"the points of {curve.name} are not those that were asked for")
    return points


def _point(written: Mapping[str, Any]) -> Point:
    metrics = {str(name): _number(value) for name, value in dict(written["metrics"]).items()}
    reason, code, untimed = written["reason"], written["code"], written.get("untimed")
    if not all(isinstance(text, str | None) for text in (reason, code, untimed)):
        raise ValueError("code and reason of a gap, and why there are no times, must be texts")
    axis, level = _number(written["axis"]), _number(written["level"])
    if reason is None and axis is None:
        raise ValueError("a point needs a place on the axis, or a reason")
    seconds = _number(written["seconds"]) or 0.0
    return Point(written["value"], axis, level, metrics, reason, code, float(seconds), untimed)


def _objects(value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise TypeError("must be a list of objects")
    return value


def _number(value: object) -> float | int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise ValueError(f"{value!r:.40} is no finite number")
    return value
