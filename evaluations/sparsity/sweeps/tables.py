"""`sweeps.parquet` and `sweeps_per_query.parquet` (columns in docs/sweeps.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluations.artefacts import write_table
from evaluations.sparsity.sweeps.points import FoundCurve, Point

SWEEPS = "sweeps.parquet"
SWEEPS_PER_QUERY = "sweeps_per_query.parquet"


def write_points(folder: Path, curves: Sequence[FoundCurve]) -> None:
    """A row a point. A metric that a point lacks is null there."""
    import pyarrow

    rows = [(curve, point) for curve in curves for point in curve.points]
    names = dict.fromkeys(name for _, point in rows for name in point.metrics or {})
    texts: dict[str, list[str | None]] = {
        "sweep": [curve.curve.sweep.name for curve, _ in rows],
        "variant": [curve.curve.variant.name for curve, _ in rows],
        "value": [point.value for _, point in rows],
        "code": [point.code for _, point in rows],
        "reason": [point.reason for _, point in rows],
        "untimed": [point.untimed for _, point in rows],
    }
    numbers = {
        "axis": [point.axis for _, point in rows],
        "level": [point.level for _, point in rows],
        "seconds": [point.seconds for _, point in rows],
        **{name: [_metric(point, name) for _, point in rows] for name in names},
    }
    columns = _texts(texts)
    columns["is_unmodified"] = pyarrow.array([point.is_unmodified for _, point in rows], pyarrow.bool_())
    columns |= {name: pyarrow.array(column, pyarrow.float64()) for name, column in numbers.items()}
    write_table(folder / SWEEPS, columns)


def write_point_queries(
    folder: Path,
    curves: Sequence[FoundCurve],
    per_query: Mapping[tuple[str, str], Mapping[str, Mapping[str, float]]],
) -> None:
    """A row a point and judged query, a column a measure; none for gaps and for the unmodified system."""
    import pyarrow

    points = [
        (curve.curve, str(point.value), per_query[curve.curve.name, str(point.value)])
        for curve in curves
        for point in curve.points
        if not point.is_unmodified and point.reason is None
    ]
    measures = list(dict.fromkeys(name for _, _, values in points for name in values))
    queries = [sorted(values[measures[0]]) if measures else [] for _, _, values in points]
    rows = [
        (curve, value, values, query)
        for (curve, value, values), own in zip(points, queries, strict=True)
        for query in own
    ]
    texts = {
        "sweep": [curve.sweep.name for curve, _, _, _ in rows],
        "variant": [curve.variant.name for curve, _, _, _ in rows],
        "value": [value for _, value, _, _ in rows],
        "query_id": [query for _, _, _, query in rows],
    }
    columns = _texts(texts)
    for name in measures:
        found = [values[name][query] for _, _, values, query in rows]
        columns[name] = pyarrow.array(found, pyarrow.float64())
    write_table(folder / SWEEPS_PER_QUERY, columns)


def _texts(columns: Mapping[str, Sequence[str | None]]) -> dict[str, Any]:
    import pyarrow

    return {name: pyarrow.array(column, pyarrow.string()) for name, column in columns.items()}


def _metric(point: Point, name: str) -> float | None:
    value = (point.metrics or {}).get(name)
    return None if value is None else float(value)
