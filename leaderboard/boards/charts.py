"""The trade-off chart: pure functions from rows to a Plotly figure.

SVG traces only, since the WebGL ones need `unsafe-eval`. Colours are set in the browser, from the stylesheet,
by each trace's `meta`, so that it fits light and dark. Texts are escaped: Plotly reads some HTML in them.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from . import families
from .labels import Spot, placed
from .metrics import PRIMARY, describe
from .rows import Row

AXES = {
    "parameters": "Parameters",
    "index_bytes": "Index size",
    "flops": "FLOPS",
    "query_latency_p50_ms": "Latency",
    "latency_ratio_matched_p50": "× matched",
}
# Width and height of the drawing in pixels, for which names are placed.
WIDE, NARROW = (1100.0, 270.0), (290.0, 230.0)
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


def left_out(rows: Sequence[Row], x: str) -> list[tuple[str, list[Row]]]:
    """Rows with an average whose `x` is there and may not stand beside the others', by the reason."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.average is not None and x in row.missing:
            found.setdefault(row.missing[x], []).append(row)
    return list(found.items())


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
    figure = go.Figure(layout=_layout(points, x))
    if len(best) > 1:
        figure.add_trace(_front_trace(best))
    wide, narrow = names(points, best, WIDE), names(points, best, NARROW)
    for family, name in families.of(point.row.family for point in points):
        members = [point for point in points if point.row.family == family]
        trace = _family_trace(members, x, links or {})
        trace.name = name
        trace.meta = {"family": family, "wide": _written(members, wide), "narrow": _written(members, narrow)}
        figure.add_trace(trace)
    return figure


def names(points: Sequence[Point], first: Sequence[Point], size: tuple[float, float]) -> dict[int, str]:
    """Identity of a point to the place of its name, for those that fit: first the front, then by quality."""
    if not points:
        return {}
    order = [*first, *sorted((point for point in points if point not in first), key=lambda point: -point.y)]
    across, up = _range(points), _heights(points)
    spots = [
        Spot(
            point.row.system,
            (math.log10(point.place) - across[0]) / (across[1] - across[0]),
            (point.y - up[0]) / (up[1] - up[0]),
        )
        for point in order
    ]
    return {id(order[index]): position for index, position in placed(spots, size).items()}


def _written(points: Sequence[Point], positions: Mapping[int, str]) -> dict[str, list[str]]:
    """Texts and positions of one trace; the browser takes those for the width it has."""
    return {
        "text": [_name(point) if id(point) in positions else "" for point in points],
        "textposition": [positions.get(id(point), "top center") for point in points],
    }


def _family_trace(points: Sequence[Point], x: str, links: Mapping[str, str]) -> go.Scatter:
    metric = describe(x)
    return go.Scatter(
        x=[point.place for point in points],
        y=[point.y for point in points],
        mode="markers+text",
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
        height=320,
        margin={"l": 52, "r": 24, "t": 18, "b": 34},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
        dragmode=False,
        showlegend=False,
        xaxis={
            "type": "log",
            "title": None,
            "tickvals": values,
            "ticktext": texts,
            "range": _range(points) if points else None,
            "zeroline": False,
        },
        yaxis={"title": None, "zeroline": False, "nticks": 6, "range": _heights(points) if points else None},
        shapes=[_break(points)] if has_zero else [],
    )


def ticks(points: Sequence[Point], x: str) -> tuple[list[float], list[str]]:
    """Places and texts of the ticks: powers of ten, with others between where they are few, and `0`."""
    metric = describe(x)
    positive = [point.x for point in points if point.x > 0]
    zeros = [point.place for point in points if point.x == 0][:1]
    if not positive:
        return zeros, ["0"] * len(zeros)
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    steps = (1, 2, 5) if high - low <= 2 else (1, 3) if high - low <= 4 else (1,)
    found = [step * 10.0**power for power in range(low, high + 1) for step in steps]
    first, last = min(positive) / 1.3, max(positive) * 1.3
    shown = [value for value in found if first <= value <= last] or [min(positive)]
    return [*zeros, *shown], [*("0" for _ in zeros), *(metric.format(value) for value in shown)]


def _range(points: Sequence[Point]) -> tuple[float, float]:
    """Limits of the axis, as logarithms."""
    places = [math.log10(point.place) for point in points]
    margin = max((max(places) - min(places)) * 0.08, 0.15)
    return min(places) - margin, max(places) + margin


def _heights(points: Sequence[Point]) -> tuple[float, float]:
    values = [point.y for point in points]
    margin = max((max(values) - min(values)) * 0.15, 1.0)
    return min(values) - margin, max(values) + margin


def _break(points: Sequence[Point]) -> dict[str, object]:
    """A line between 0 and the logarithmic part of the axis."""
    zero = next(point.place for point in points if point.x == 0)
    middle = 10 ** (math.log10(zero) + 0.25)
    return {
        "type": "line", "x0": middle, "x1": middle, "y0": 0, "y1": 1, "yref": "paper", "name": "break",
        "line": {"dash": "dot", "width": 1},
    }  # fmt: skip
