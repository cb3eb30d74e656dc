"""Curves of operating points: a pure function from the points of a sweep to a Plotly figure.

The unmodified system is on the left, and each curve becomes sparser to the right. Colours are set in the
browser, from the stylesheet, by each trace's `meta`. Texts are escaped: Plotly reads some HTML in them.
"""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from .metrics import PRIMARY
from .models import OperatingPoint
from .points import Curve, Figure, primary, shown_value
from .swept import time_of

MARGIN = 0.06  # of the axis, on either side
MOST_TICKS = 9
LEAST_SPAN = 2.0  # of the vertical axis
TIME = "<br>%{x:.3~g} ms"  # of a point that is drawn over its time


def figure(sweep: Figure) -> go.Figure:
    """nDCG@10 times 100 over the sweep's axis, or over milliseconds a query, p50.

    A trace a curve, rings at knees, a line for the unmodified system.
    """
    points = [point for curve in sweep.curves for point in sweep.drawn(curve)]
    found = go.Figure(layout=_layout(sweep, points))
    for place, curve in enumerate(sweep.curves):
        if len(sweep.drawn(curve)) > 1 or sweep.unmodified is None:
            found.add_trace(_curve_trace(sweep, curve, place))
    for place, curve in enumerate(sweep.curves):
        changed = (point for point in sweep.drawn(curve) if not point.is_unmodified)
        knee = [point for point in changed if point.value == curve.knee]
        if knee:
            found.add_trace(_knee_trace(sweep, knee, place))
    if sweep.unmodified is not None and sweep.unmodified in points:
        found.add_trace(_unmodified_trace(sweep, sweep.unmodified))
    return found


def _curve_trace(sweep: Figure, curve: Curve, place: int) -> go.Scatter:
    """Patterns have no order between them, so no line joins them."""
    joined = curve.variant.values.type == "integer"
    points = [point for point in sweep.drawn(curve) if joined or not point.is_unmodified]
    texts = ["unmodified" if point.is_unmodified else shown_value(curve, point) for point in points]
    return go.Scatter(
        x=[_x(sweep, point) for point in points],
        y=[100 * (primary(point) or 0.0) for point in points],
        mode="lines+markers" if joined else "markers",
        name=html.escape(curve.variant.title),
        meta={"curve": place, "baseline": curve.variant.is_baseline},
        line={"width": 2, "dash": "dash" if curve.variant.is_baseline else "solid"},
        marker={"size": 8, "symbol": "circle" if joined else "square"},
        customdata=[
            [html.escape(text), _percent(point.level)] for text, point in zip(texts, points, strict=True)
        ],
        hovertemplate=f"<b>%{{customdata[0]}}</b>, {html.escape(curve.variant.title)}<br>{PRIMARY} %{{y:.1f}}"
        f"{_time(sweep)}<br>level %{{customdata[1]}}<extra></extra>",
        cliponaxis=False,
    )


def _knee_trace(sweep: Figure, knee: Sequence[OperatingPoint], place: int) -> go.Scatter:
    return go.Scatter(
        x=[_x(sweep, point) for point in knee],
        y=[100 * (primary(point) or 0.0) for point in knee],
        mode="markers+text",
        text=["knee"] * len(knee),
        textposition="top center",
        name="knee",
        meta={"curve": place, "knee": True},
        marker={"size": 17, "symbol": "circle-open", "line": {"width": 2}},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _unmodified_trace(sweep: Figure, point: OperatingPoint) -> go.Scatter:
    return go.Scatter(
        x=[_x(sweep, point)],
        y=[100 * (primary(point) or 0.0)],
        mode="markers",
        name="unmodified",
        meta={"unmodified": True},
        marker={"size": 12, "symbol": "diamond"},
        hovertemplate=f"<b>unmodified</b><br>{PRIMARY} %{{y:.1f}}{_time(sweep)}<extra></extra>",
        cliponaxis=False,
    )


def _layout(sweep: Figure, points: Sequence[OperatingPoint]) -> go.Layout:
    values = sorted({_x(sweep, point) for point in points})
    return go.Layout(
        template="none",
        height=300,
        margin={"l": 44, "r": 20, "t": 16, "b": 28},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
        dragmode=False,
        showlegend=False,
        xaxis={
            "type": "log" if _is_logarithmic(sweep) else "linear",
            "title": None,
            "range": _range(sweep, values),
            "zeroline": False,
            **_ticks(sweep, values),
        },
        yaxis={"title": None, "zeroline": False, "nticks": 6, "range": _heights(points)},
        shapes=[_level_line(point)] if (point := sweep.unmodified) else [],
    )


def _level_line(point: OperatingPoint) -> dict[str, Any]:
    """The unmodified system's quality, all along."""
    height = 100 * (primary(point) or 0.0)
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": height, "y1": height,
        "line": {"dash": "dot", "width": 1}, "layer": "below",
    }  # fmt: skip


def _time(sweep: Figure) -> str:
    return TIME if sweep.by_time else ""


def _x(sweep: Figure, point: OperatingPoint) -> float:
    """Where a point stands; shares in percent, times in milliseconds."""
    if sweep.by_time:
        return time_of(point) or 0.0
    axis = point.axis or 0.0
    return 100 * axis if sweep.sweep.unit == "share" else axis


def _range(sweep: Figure, values: Sequence[float]) -> list[float] | None:
    """From the unmodified system's end to the sparsest; in logarithms where the axis is."""
    if not values:
        return None
    ends = [math.log10(max(value, 1.0)) if _is_logarithmic(sweep) else value for value in values]
    low, high = min(ends), max(ends)
    margin = MARGIN * (high - low) or 0.5
    rising = [low - margin, high + margin]
    return rising[::-1] if _falls(sweep) and not sweep.by_time else rising


def _is_logarithmic(sweep: Figure) -> bool:
    return sweep.sweep.is_logarithmic and not sweep.by_time


def _heights(points: Sequence[OperatingPoint]) -> list[float] | None:
    """Two points of nDCG@10 at least, so that a flat curve looks flat; room above for the word at a knee."""
    values = [100 * (primary(point) or 0.0) for point in points]
    if not values:
        return None
    low, high = min(values), max(values)
    span = max(high - low, LEAST_SPAN)
    middle = (low + high) / 2
    return [middle - 0.6 * span, middle + 0.7 * span]


def _falls(sweep: Figure) -> bool:
    """Whether smaller values are the sparser ones, so that the axis runs from great to small."""
    values = sweep.curves[0].variant.values
    return values.type == "integer" and values.sparser == "smaller"


def _ticks(sweep: Figure, values: Sequence[float]) -> dict[str, Any]:
    """At the points of a logarithmic axis, where they are many at every other one; counts are whole."""
    if sweep.by_time or sweep.sweep.unit == "share" or not values:
        return {"nticks": MOST_TICKS}
    if not sweep.sweep.is_logarithmic:
        return {"tick0": 0, "dtick": max(1, math.ceil((max(values) - min(values)) / MOST_TICKS))}
    step = -(-len(values) // MOST_TICKS)
    kept = list(values[::step])
    return {"tickvals": kept, "ticktext": [f"{value:,.0f}" for value in kept]}


def _percent(level: float | None) -> str:
    return "–" if level is None else f"{100 * level:.1f} %"
