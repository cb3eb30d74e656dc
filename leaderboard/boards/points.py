"""Operating points: from a report to rows, and from rows to the curves that pages, CSV and REST show."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from types import MappingProxyType
from typing import Any
from uuid import UUID

from evaluations.latency.operating_points import POINT_TIMES
from evaluations.sparsity.sweeps import SWEEPS, Point, Sweep, Variant, curves_of, names_of, verdict_lines
from leaderboard.submissions.models import Evaluation, Track

from .exports import safe
from .metrics import NBSP, PRIMARY, Metric, describe
from .models import OperatingPoint
from .swept import Swept, own_metrics, time_of

Titles = Mapping[str, str]
NO_TITLES: Titles = MappingProxyType({})
REASON_LENGTH = 300
FIXED = (
    "dataset",
    "sweep",
    "variant",
    "value",
    "is_unmodified",
    "axis",
    "level",
    "code",
    "reason",
    "seconds",
    "untimed",
    "host",
)


@dataclass(frozen=True)
class Curve:
    """One curve of one evaluation. `report`: its part of the sparsity track's details.

    `titles`: how people call the checkpoints that its values name.
    """

    name: str
    sweep: Sweep
    variant: Variant
    points: Sequence[OperatingPoint]
    report: Mapping[str, Any]
    titles: Titles = field(default_factory=dict)

    @property
    def gaps(self) -> list[OperatingPoint]:
        return [point for point in self.points if point.reason]

    @property
    def there(self) -> list[OperatingPoint]:
        return [point for point in self.points if not point.reason]

    @property
    def knee(self) -> str | None:
        """The value at the knee."""
        found = self.report.get("knee")
        return str(found["value"]) if isinstance(found, Mapping) else None

    @property
    def verdicts(self) -> list[str]:
        return verdict_lines(self.report)

    @property
    def rules(self) -> Mapping[str, str]:
        found = self.report.get("rules")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True)
class Line:
    """A row of the table: its point's value, then cells as people read them, with all digits beside."""

    value: str
    cells: Sequence[tuple[str, str]]
    reason: str = ""
    is_knee: bool = False


@dataclass(frozen=True)
class Figure:
    """The curves of one sweep on one dataset: drawn together, and one table.

    `host`: the one that all times hold for, where there are any. `by_time`: drawn over these.
    """

    evaluation: Evaluation
    sweep: Sweep
    curves: Sequence[Curve]
    host: str = ""
    by_time: bool = False

    @property
    def names_checkpoints(self) -> bool:
        """Whether its points are other models, which a reader wants to look up."""
        return any(curve.variant.values.type == "checkpoint" for curve in self.curves)

    @property
    def unmodified(self) -> OperatingPoint | None:
        """The same on every curve; None where the sweep does not fit this very system."""
        found = [point for curve in self.curves for point in curve.there if point.is_unmodified]
        return found[0] if found else None

    @property
    def columns(self) -> list[Metric]:
        """Quality, and those figures that differ between the points."""
        found: dict[str, set[object]] = {}
        for point in (point for curve in self.curves for point in curve.there):
            for name, value in point.metrics.items():
                found.setdefault(name, set()).add(value)
        timed = [name for name in POINT_TIMES if found.get(name, set()) - {None}]
        moved = [name for name in SHOWN if len(found.get(name, ())) > 1 or name in timed]
        return [describe(name) for name in (PRIMARY, *moved)]

    @property
    def is_timed(self) -> bool:
        """Whether a curve can be drawn over milliseconds."""
        points = (point for curve in self.curves for point in curve.there if not point.is_unmodified)
        return any(time_of(point) is not None for point in points)

    @property
    def untimed(self) -> list[tuple[str, str]]:
        """Each reason for having no times once, with the points it concerns."""
        found: dict[str, dict[str, None]] = {}
        for curve in self.curves:
            for point in curve.there:
                if point.untimed:
                    found.setdefault(point.untimed, {})[self._place(curve, point)] = None
        return [(", ".join(places), reason) for reason, places in found.items()]

    def drawn(self, curve: Curve) -> list[OperatingPoint]:
        """Those that have a place on the horizontal axis."""
        return [point for point in curve.there if not self.by_time or time_of(point) is not None]

    @property
    def first_line(self) -> Line | None:
        return self._line(self.unmodified, "unmodified") if self.unmodified else None

    @property
    def groups(self) -> list[tuple[Curve, list[Line]]]:
        return [
            (
                curve,
                [
                    self._line(point, shown_value(curve, point), is_knee=point.value == curve.knee)
                    for point in curve.points
                    if not point.is_unmodified
                ],
            )
            for curve in self.curves
        ]

    def _line(self, point: OperatingPoint, value: str, *, is_knee: bool = False) -> Line:
        cells = [_cell(point, metric) for metric in self.columns]
        return Line(value, [cells[0], self._change(point), *cells[1:]], point.reason, is_knee)

    def _place(self, curve: Curve, point: OperatingPoint) -> str:
        """A point in words, with its curve's name where there are several."""
        if point.is_unmodified:
            return "unmodified"
        value = shown_value(curve, point)
        return f"{curve.variant.title} {value}" if len(self.curves) > 1 else value

    def _change(self, point: OperatingPoint) -> tuple[str, str]:
        """Of the primary metric, relative to the unmodified system."""
        base = primary(self.unmodified) if self.unmodified else None
        own = primary(point)
        if point.is_unmodified or not base or own is None:
            return "", ""
        change = own / base - 1.0
        return f"{100 * change:+.1f}{NBSP}%".replace("-", "\N{MINUS SIGN}"), repr(change)


# In this order, where a sweep moves them.
SHOWN = (
    "index_bytes", "flops", "query_active_dims_mean", "document_active_dims_mean", "bytes_per_vector",
    "prunable_zeros_share", "weight_zeros_share", "inner_activation_zeros_share", "attention_left_out_share",
    "active_parameters", *POINT_TIMES,
)  # fmt: skip


def shown_value(curve: Curve, point: OperatingPoint) -> str:
    """The value with its unit, as people say it."""
    if curve.variant.values.type == "checkpoint":
        return " + ".join(curve.titles.get(name, name) for name in names_of(point.value))
    if curve.variant.values.type != "integer":
        return point.value
    return f"{point.value}{NBSP}%" if curve.sweep.unit == "share" else f"{int(point.value):,}"


def _cell(point: OperatingPoint, metric: Metric) -> tuple[str, str]:
    value = point.metrics.get(metric.name)
    if value is None:
        return metric.format(value), point.untimed if metric.name in POINT_TIMES else ""
    return metric.format(value), repr(value)


def rows_of(
    details: Mapping[str, object], kind: str, evaluation: UUID, track: Track = Track.SPARSITY
) -> list[OperatingPoint]:
    """Unsaved rows of a track's details. Raises EvaluationError `REPORT-INVALID`."""
    pairs = [(curve.curve, point) for curve in curves_of(details, kind) for point in curve.points]
    return [
        OperatingPoint(
            evaluation_id=evaluation,
            sweep=curve.sweep.name,
            variant=curve.variant.name,
            curve=curve.name,
            position=position,
            value=point.value or "",
            is_unmodified=point.is_unmodified,
            axis=point.axis,
            level=point.level,
            metrics=own_metrics(dict(point.metrics or {}), track),
            code=point.code or "",
            reason=_reason(point, track)[:REASON_LENGTH],
            seconds=point.seconds,
        )
        for position, (curve, point) in enumerate(pairs)
    ]


def _reason(point: Point, track: Track) -> str:
    """Why it is a gap; of the latency track, why it has no times."""
    return point.reason or (point.untimed if track == Track.LATENCY else None) or ""


def figures_of(swept: Iterable[Swept], titles: Titles = NO_TITLES) -> list[Figure]:
    """Sweep by sweep of each dataset. `titles`: see `Curve`."""
    return [figure for each in swept for figure in _figures(each, titles)]


def figure_of(
    swept: Swept, sweep: str, titles: Titles = NO_TITLES, *, by_time: bool = False
) -> Figure | None:
    """None where there is no such sweep, or none of its points has the time that it is to be drawn over."""
    found = next((figure for figure in _figures(swept, titles) if figure.sweep.name == sweep), None)
    if found is None or (by_time and not found.is_timed):
        return None
    return replace(found, by_time=by_time)


def csv_of(swept: Sequence[Swept]) -> str:
    """A line a point, unrounded; a metric that a point lacks is an empty cell."""
    points = [(each, point) for each in swept for point in each.points]
    names = list(dict.fromkeys(name for _, point in points for name in point.metrics))
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(safe([*FIXED, *names]))
    for each, point in points:
        write(_line(each, point, names))
    return out.getvalue()


def _line(swept: Swept, point: OperatingPoint, names: Sequence[str]) -> list[str]:
    texts = safe([swept.evaluation.dataset.name, point.sweep, point.variant, point.value])
    numbers = ["" if number is None else repr(number) for number in (point.axis, point.level)]
    metrics = [point.metrics.get(name) for name in names]
    return [
        *texts,
        str(point.is_unmodified).lower(),
        *numbers,
        *safe([point.code, point.reason]),
        repr(point.seconds),
        *safe([point.untimed, swept.host if time_of(point) is not None else ""]),
        *("" if value is None else repr(value) for value in metrics),
    ]


def curves_in(swept: Swept, titles: Titles = NO_TITLES) -> list[Curve]:
    """In the order of being asked. A sweep that this version does not know any more is left out."""
    reports, points = _reports(swept.evaluation), swept.points
    return [
        Curve(name, SWEEPS[found[0].sweep], _variant(found[0]), found, reports.get(name, {}), titles)
        for name, group in groupby(points, key=lambda point: point.curve)
        if (found := list(group)) and found[0].sweep in SWEEPS
    ]


def _figures(swept: Swept, titles: Titles) -> Iterator[Figure]:
    curves = curves_in(swept, titles)
    for sweep in dict.fromkeys(curve.sweep.name for curve in curves):
        own = [curve for curve in curves if curve.sweep.name == sweep]
        yield Figure(swept.evaluation, SWEEPS[sweep], own, swept.host)


def _variant(point: OperatingPoint) -> Variant:
    """That of the sweep; the first one, should a later version have renamed it."""
    variants = SWEEPS[point.sweep].variants
    return next((variant for variant in variants if variant.name == point.variant), variants[0])


def _reports(evaluation: Evaluation) -> dict[str, Mapping[str, Any]]:
    """The curves of the report by their names."""
    track = ((evaluation.report or {}).get("tracks") or {}).get(Track.SPARSITY.value) or {}
    return {str(curve["asked"]).partition("=")[0]: curve for curve in track.get("sweeps", [])}


def primary(point: OperatingPoint) -> float | None:
    found = point.metrics.get(PRIMARY)
    return None if found is None else float(found)
