"""What made a dataset's operating points, and what timed them: two evaluations, whichever was done first.

Times hold for one host and come with it; points without a host have none.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from evaluations.latency.operating_points import POINT_TIMES, TOTAL
from leaderboard.submissions.models import Evaluation, State, Track

from .models import OperatingPoint

TRACKS = frozenset({Track.SPARSITY, Track.LATENCY})


@dataclass(frozen=True)
class Swept:
    """A sparsity evaluation, and the latency evaluation of the same submission and dataset where it is done.

    Both with their `operating_points` loaded.
    """

    evaluation: Evaluation
    timed: Evaluation | None = None

    @property
    def host(self) -> str:
        """The hash of the profile that the points' times hold for; empty where none has any."""
        found = self.timed.operating_points.all() if self.timed else ()
        return self.timed.host if self.timed and any(time_of(point) for point in found) else ""

    @property
    def points(self) -> list[OperatingPoint]:
        """In the order of being asked, each with its times."""
        is_of_host = self.timed is not None and self.timed.host
        rows = self.timed.operating_points.all() if self.timed and is_of_host else ()
        timed = {(row.curve, row.value): row for row in rows}
        made = sorted(self.evaluation.operating_points.all(), key=lambda point: point.position)
        return [_joined(point, timed.get((point.curve, point.value))) for point in made]


def time_of(point: OperatingPoint) -> float | None:
    """Milliseconds a query, p50."""
    found = point.metrics.get(TOTAL)
    return None if found is None else float(found)


def paired(evaluations: Iterable[Evaluation]) -> list[Swept]:
    """Those that made points, in their order, each with its times; other evaluations may be among them."""
    rows = list(evaluations)
    timed = {(row.submission_id, row.dataset_id): row for row in rows if row.track == Track.LATENCY}
    return [
        Swept(row, timed.get((row.submission_id, row.dataset_id)))
        for row in rows
        if row.track == Track.SPARSITY and row.operating_points.all()
    ]


def swept_of(submission: UUID) -> list[Swept]:
    """Of the submission's datasets that have operating points, by name. Two queries."""
    found = (
        Evaluation.objects.filter(submission=submission, track__in=TRACKS, state=State.SUCCEEDED)
        .select_related("dataset", "submission__revision__system")
        .defer("log")
        .prefetch_related("operating_points")
        .order_by("dataset__name")
    )
    return paired(found)


def own_metrics(metrics: dict[str, float | int | None], track: Track) -> dict[str, float | int | None]:
    """Of those that a track's report has of a point, its own: times are the latency track's alone."""
    is_latency = track == Track.LATENCY
    return {name: value for name, value in metrics.items() if (name in POINT_TIMES) == is_latency}


def _joined(made: OperatingPoint, timed: OperatingPoint | None) -> OperatingPoint:
    """A copy that is never saved; a gap stays as it is."""
    if timed is None or made.reason:
        return made
    found = copy.copy(made)
    found.metrics, found.untimed = {**made.metrics, **timed.metrics}, timed.reason
    return found
