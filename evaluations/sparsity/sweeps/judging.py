"""Scoring the points' runs, and saying where each curve bends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from evaluations.retrieval.scoring import Effectiveness
from evaluations.sparsity.sweeps import curves
from evaluations.sparsity.sweeps.curves import Level, Scores
from evaluations.sparsity.sweeps.grammar import Curve
from evaluations.sparsity.sweeps.points import FoundCurve, Point, details, rules, run_name
from evaluations.sparsity.sweeps.tables import write_point_queries, write_points
from evaluations.tracks import Findings

NOT_FITTING = ("SWEEP-POINT", "OPTION-RANGE")  # codes of values that this very system cannot have
PerQuery = Mapping[str, Mapping[str, float]]  # measure name -> query id -> value


@dataclass(frozen=True)
class Judged:
    """The curves with each point's effectiveness and a verdict; a query's values by curve and value."""

    curves: tuple[FoundCurve, ...]
    per_query: Mapping[tuple[str, str], PerQuery]

    @property
    def findings(self) -> Findings:
        return Findings(details=details(self.curves))

    def write(self, folder: Path) -> None:
        """`sweeps.parquet` and `sweeps_per_query.parquet`, where there are curves."""
        if self.curves:
            write_points(folder, self.curves)
            write_point_queries(folder, self.curves, self.per_query)


def judged(
    found: Sequence[FoundCurve],
    unmodified: Effectiveness,
    judge: Callable[[str], Effectiveness],
    measure: str,
) -> Judged:
    """`judge` reads and scores a run by its name; `measure` decides on knee and drop."""
    per_query: dict[tuple[str, str], PerQuery] = {}
    done = []
    for curve in found:
        points = []
        for point in curve.points:
            if point.reason is not None:
                points.append(point)
                continue
            result = unmodified if point.is_unmodified else judge(run_name(curve.curve, point))
            per_query[curve.curve.name, point.value or ""] = result.per_query
            points.append(point.with_metrics(result.findings.metrics))
        verdict = _verdict(curve.curve, points, unmodified.per_query, per_query, measure)
        done.append(replace(curve, points=tuple(points), verdict=verdict))
    return Judged(tuple(done), per_query)


def _verdict(
    curve: Curve,
    points: Sequence[Point],
    unmodified: PerQuery,
    per_query: Mapping[tuple[str, str], PerQuery],
    measure: str,
) -> dict[str, object]:
    """`knee` and `drop`, each None with its reason where there is none; the rules in words."""
    if not curve.sweep.has_knee:
        return _none("this sweep makes nothing sparser")
    if measure not in unmodified:
        return _none(f"{measure} was not computed")
    query_ids = sorted(unmodified[measure])
    base = curves.paired(unmodified[measure], query_ids)
    levels = [
        Level(
            str(point.value),
            point.level,
            _scores(curve, point, per_query, measure, query_ids),
            fits=point.code not in NOT_FITTING,
        )
        for point in points
        if not point.is_unmodified
    ]
    knee, drop = curves.knee(base, levels), curves.drop(base, levels)
    return {
        "knee": None if isinstance(knee, str) else asdict(knee),
        "knee_reason": knee if isinstance(knee, str) else None,
        "drop": None if isinstance(drop, str) else asdict(drop),
        "drop_reason": drop if isinstance(drop, str) else None,
        "rules": rules(measure),
    }


def _scores(
    curve: Curve,
    point: Point,
    per_query: Mapping[tuple[str, str], PerQuery],
    measure: str,
    query_ids: Sequence[str],
) -> Scores | None:
    if point.reason is not None or point.value is None:
        return None
    return curves.paired(per_query[curve.name, point.value][measure], query_ids)


def _none(reason: str) -> dict[str, object]:
    return {"knee": None, "knee_reason": reason, "drop": None, "drop_reason": reason}
