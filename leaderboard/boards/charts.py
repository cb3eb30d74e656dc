"""The trade-off chart: pure functions from rows to a Plotly figure.

SVG traces only, since the WebGL ones need `unsafe-eval`. Colours are set in the browser, from the stylesheet,
by each trace's `meta`, so that it fits light and dark. Texts are escaped: Plotly reads some HTML in them.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from .families import FAMILIES, label
from .metrics import PRIMARY, describe
from .rows import Row

AXES = {"parameters": "Parameters", "index_bytes": "Index size"}
LABELS_NEAR = (0.11, 0.055)  # no two labels closer than this share of the width and of the height
FRONT = "Pareto front"


@dataclass(frozen=True)
class Point:
    """A row that has both numbers. `x` is the true value, `place` where it stands on the logarithmic axis."""

    row: Row
    x: float
    y: float
    place: float


def points_of(rows: Sequence[Row], x: str) -> list[Point]:
    """Rows with an average and an `x`. Zero has no logarithm: it stands half a decade left of the others."""
    found = [(row, row.metrics.get(x), row.average) for row in rows]
    whole = [
        (row, value, average) for row, value, average in found if value is not None and average is not None
    ]
    zero = zero_place([value for _, value, _ in whole])
    return [Point(row, value, 100 * average, value or zero) for row, value, average in whole]


def zero_place(values: Sequence[float]) -> float:
    least = min((value for value in values if value > 0), default=10.0)
    return float(10 ** (math.log10(least) - 0.5))


def front(points: Sequence[Point]) -> list[Point]:
    """The Pareto front: points that no other beats by being as cheap and better, or cheaper and as good."""
    best, found = -math.inf, []
    for point in sorted(points, key=lambda point: (point.x, -point.y)):
        if point.y > best:
            best = point.y
            found.append(point)
    return found


def tradeoff(rows: Sequence[Row], x: str = "parameters", links: Mapping[str, str] | None = None) -> go.Figure:
    """nDCG@10 average against `x` (one of `AXES`). `links`: a system's id to the page a click opens."""
    points = points_of(rows, x)
    best = front(points)
    named = labelled(points, best)
    figure = go.Figure(layout=_layout(points, x))
    if len(best) > 1:
        figure.add_trace(_front_trace(best))
    for family in [*FAMILIES, *sorted({point.row.family for point in points} - FAMILIES.keys())]:
        members = [point for point in points if point.row.family == family]
        if members:
            figure.add_trace(_family_trace(family, members, x, named, links or {}))
    return figure


def labelled(points: Sequence[Point], first: Sequence[Point]) -> set[int]:
    """Identities of the points whose names fit: the front's first, then by quality, none over another."""
    if not points:
        return set()
    xs, ys = [math.log10(point.place) for point in points], [point.y for point in points]
    width, height = max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0
    chosen: list[Point] = []
    for point in [*first, *sorted(points, key=lambda point: -point.y)]:
        near = (
            abs(math.log10(point.place) - math.log10(other.place)) / width < LABELS_NEAR[0]
            and abs(point.y - other.y) / height < LABELS_NEAR[1]
            for other in chosen
        )
        if not any(near):
            chosen.append(point)
    return {id(point) for point in chosen}


def _family_trace(
    family: str, points: Sequence[Point], x: str, named: set[int], links: Mapping[str, str]
) -> go.Scatter:
    metric = describe(x)
    return go.Scatter(
        x=[point.place for point in points],
        y=[point.y for point in points],
        mode="markers+text",
        name=label(family),
        meta={"family": family},
        text=[_name(point) if id(point) in named else "" for point in points],
        textposition="top center",
        customdata=[
            [_name(point), metric.format(point.x), links.get(str(point.row.system_id), "")]
            for point in points
        ],
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>{PRIMARY} %{{y:.1f}}"
        f"<br>{metric.label} %{{customdata[1]}}<extra></extra>",
        marker={"size": 11},
        cliponaxis=False,
    )


def _name(point: Point) -> str:
    return html.escape(point.row.system)


def _front_trace(points: Sequence[Point]) -> go.Scatter:
    return go.Scatter(
        x=[point.place for point in points],
        y=[point.y for point in points],
        mode="lines",
        name=FRONT,
        meta={"front": True},
        line={"dash": "dash", "width": 1.4},
        hoverinfo="skip",
    )


def _layout(points: Sequence[Point], x: str) -> go.Layout:
    values, texts = ticks(points, x)
    has_zero = any(point.x == 0 for point in points) and any(point.x > 0 for point in points)
    return go.Layout(
        template="none",
        height=340,
        margin={"l": 52, "r": 24, "t": 18, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
        dragmode=False,
        legend={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"},
        xaxis={
            "type": "log",
            "title": None,
            "tickvals": values,
            "ticktext": texts,
            "range": _range(points),
            "zeroline": False,
        },
        yaxis={"title": None, "zeroline": False, "nticks": 6, "range": _heights(points)},
        shapes=[_break(points)] if has_zero else [],
    )


def ticks(points: Sequence[Point], x: str) -> tuple[list[float], list[str]]:
    """Places and texts of the ticks: powers of ten, with 2 and 5 between where there are few, and `0`."""
    metric = describe(x)
    positive = [point.x for point in points if point.x > 0]
    zeros = [point.place for point in points if point.x == 0][:1]
    if not positive:
        return zeros, ["0"] * len(zeros)
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    steps = (1, 2, 5) if high - low <= 2 else (1,)
    found = [step * 10.0**power for power in range(low, high + 1) for step in steps]
    first, last = min(positive) / 1.3, max(positive) * 1.3
    shown = [value for value in found if first <= value <= last] or [min(positive)]
    return [*zeros, *shown], [*("0" for _ in zeros), *(metric.format(value) for value in shown)]


def _range(points: Sequence[Point]) -> list[float] | None:
    places = [math.log10(point.place) for point in points]
    if not places:
        return None
    margin = max((max(places) - min(places)) * 0.08, 0.15)
    return [min(places) - margin, max(places) + margin]


def _heights(points: Sequence[Point]) -> list[float] | None:
    values = [point.y for point in points]
    if not values:
        return None
    margin = max((max(values) - min(values)) * 0.15, 1.0)
    return [min(values) - margin, max(values) + margin]


def _break(points: Sequence[Point]) -> dict[str, object]:
    """A line between 0 and the logarithmic part of the axis."""
    zero = next(point.place for point in points if point.x == 0)
    middle = 10 ** (math.log10(zero) + 0.25)
    return {
        "type": "line", "x0": middle, "x1": middle, "y0": 0, "y1": 1, "yref": "paper", "name": "break",
        "line": {"dash": "dot", "width": 1},
    }  # fmt: skip
