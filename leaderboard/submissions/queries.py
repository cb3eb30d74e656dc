"""All that pages and API read about submissions: states, places in the queue, times.

Each read is a fixed number of queries. Places in the queue come from rows, never from the broker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, Min, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.fields.json import KeyTransform
from django.utils import timezone

from leaderboard.accounts.models import User
from leaderboard.catalog.models import BenchmarkDataset
from leaderboard.submissions.lifecycle import claimable
from leaderboard.submissions.models import TERMINAL, Evaluation, State, Submission, Track, overall_state

PRIMARY_METRIC = "nDCG@10"
LOG_LINES_SHOWN = 20
Viewer = User | AnonymousUser
Submissions = QuerySet[Submission]


@dataclass(frozen=True)
class Rejection:
    """A latency session that failed a gate: nothing of it is published but this."""

    at: datetime
    host: str
    reason: str


@dataclass(frozen=True)
class EvaluationStatus:
    """One evaluation as people watch it. `queue_position`: groups ahead; 0 is next, None is not queued."""

    id: UUID
    dataset: str
    track: Track
    state: State
    stage: str
    progress: float | None
    queue_position: int | None
    elapsed_seconds: float | None
    expected_seconds: float | None
    attempts: int
    worker: str
    error_code: str
    error_message: str
    log: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    ndcg_at_10: float | None
    rejections: tuple[Rejection, ...] = ()
    not_before: datetime | None = None

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def percent(self) -> str:
        return "" if self.progress is None else f"{self.progress:.0%}".replace("%", " %")

    @property
    def log_tail(self) -> str:
        return "\n".join(self.log.splitlines()[-LOG_LINES_SHOWN:])


@dataclass(frozen=True)
class Group:
    """What one worker claims at once: a dataset's retrieval and sparsity evaluations, or its latency."""

    dataset: str
    evaluations: tuple[EvaluationStatus, ...]

    @property
    def lead(self) -> EvaluationStatus:
        """The one that tells most: of one claim, that is a failed, else a running, else the retrieval one."""
        for state in (State.FAILED, State.RUNNING):
            for evaluation in self.evaluations:
                if evaluation.state == state:
                    return evaluation
        return self.evaluations[0]

    @property
    def state(self) -> State:
        return overall_state([evaluation.state for evaluation in self.evaluations])

    @property
    def tracks(self) -> str:
        return " + ".join(evaluation.track for evaluation in self.evaluations)

    @property
    def ndcg_at_10(self) -> float | None:
        return next((each.ndcg_at_10 for each in self.evaluations if each.ndcg_at_10 is not None), None)


@dataclass(frozen=True)
class SubmissionStatus:
    """A submission as page and API show it; `submission` has owner, benchmark, revision, system loaded."""

    submission: Submission
    evaluations: tuple[EvaluationStatus, ...]

    @property
    def state(self) -> State:
        return overall_state([evaluation.state for evaluation in self.evaluations])

    @property
    def is_terminal(self) -> bool:
        return all(evaluation.is_terminal for evaluation in self.evaluations)

    @property
    def groups(self) -> tuple[Group, ...]:
        found: dict[tuple[str, str], list[EvaluationStatus]] = {}
        for evaluation in self.evaluations:
            found.setdefault((evaluation.dataset, queue_of(evaluation.track)), []).append(evaluation)
        return tuple(Group(dataset, tuple(members)) for (dataset, _), members in found.items())


def may_manage(viewer: Viewer, submission: Submission) -> bool:
    """Who may cancel, run again and read logs: the owner and the staff."""
    return viewer.is_authenticated and (viewer.is_staff or viewer.pk == submission.owner_id)


def queue_of(track: str) -> Track:
    """Retrieval and sparsity of one dataset are claimed together, so that a corpus is encoded once."""
    return Track.LATENCY if track == Track.LATENCY else Track.RETRIEVAL


def submission_status(submission_id: UUID, viewer: Viewer) -> SubmissionStatus:
    """Logs are left out for those who may not read them. Raises DoesNotExist. At most 3 queries."""
    related = Submission.objects.select_related("owner", "benchmark", "revision__system")
    submission = related.get(pk=submission_id)
    rows = list(_evaluations(submission))
    places = _queue_places(submission.device, rows)
    show_log, now = may_manage(viewer, submission), timezone.now()
    return SubmissionStatus(submission, tuple(_status(row, places, now, show_log) for row in rows))


def submissions_of(owner: User) -> QuerySet[Submission]:
    """A person's own submissions, newest first, with what a list shows. Two queries."""
    related = Submission.objects.filter(owner=owner).select_related("benchmark", "revision__system")
    return with_states(related).order_by("-created_at", "id")


def with_states(submissions: QuerySet[Submission]) -> QuerySet[Submission]:
    """For `Submission.state`: the evaluations' states, without their logs and reports."""
    states = Evaluation.objects.only("id", "state", "submission_id").order_by()
    return submissions.prefetch_related(Prefetch("evaluations", queryset=states))


def _evaluations(submission: Submission) -> "QuerySet[Evaluation, Any]":
    """In the benchmark's order. Of the report, only the one figure that is shown is read."""
    members = BenchmarkDataset.objects.filter(benchmark=submission.benchmark_id, dataset=OuterRef("dataset"))
    metrics = KeyTransform("metrics", KeyTransform(Track.RETRIEVAL.value, F("report__tracks")))
    return (
        submission.evaluations.select_related("dataset")
        .defer("report")
        .annotate(
            position=Subquery(members.values("position")[:1]), figure=KeyTransform(PRIMARY_METRIC, metrics)
        )
        .order_by("position", "dataset__name", "track")
    )


_Place = tuple[datetime, UUID, UUID]


def _queue_places(device: str, rows: Sequence[Evaluation]) -> dict[tuple[UUID, UUID, Track], int]:
    """How many groups stand before each queued group of the rows, in the queue it waits in."""
    queued = [row for row in rows if row.state == State.QUEUED]
    if not queued:
        return {}
    lines = _queues(device, max(row.created_at for row in queued))
    keys = {(row.submission_id, row.dataset_id, queue_of(row.track)) for row in queued}
    return {
        (submission, dataset, queue): index
        for queue, line in lines.items()
        for index, (_, submission, dataset) in enumerate(line)
        if (submission, dataset, queue) in keys
    }


def _queues(device: str, until: datetime) -> dict[Track, list[_Place]]:
    groups = (
        Evaluation.objects.filter(claimable(), submission__device=device, created_at__lte=until)
        .order_by()
        .values_list("submission_id", "dataset_id", "track")
        .annotate(first=Min("created_at"))
    )
    found: dict[Track, dict[tuple[UUID, UUID], datetime]] = {Track.RETRIEVAL: {}, Track.LATENCY: {}}
    for submission, dataset, track, first in groups:
        line = found[queue_of(track)]
        line[submission, dataset] = min(first, line.get((submission, dataset), first))
    return {queue: sorted((first, *key) for key, first in line.items()) for queue, line in found.items()}


def _status(
    row: Evaluation, places: dict[tuple[UUID, UUID, Track], int], now: datetime, show_log: bool
) -> EvaluationStatus:
    state = State(row.state)
    waits = state == State.QUEUED
    place = (row.submission_id, row.dataset_id, queue_of(row.track))
    return EvaluationStatus(
        id=row.id,
        dataset=row.dataset.name,
        track=Track(row.track),
        state=state,
        stage=row.stage if state == State.RUNNING else "",
        progress=row.progress if state == State.RUNNING else None,
        queue_position=places.get(place) if waits else None,
        elapsed_seconds=None if waits else _elapsed(row, now),
        expected_seconds=row.expected_seconds,
        attempts=row.attempts,
        worker=row.worker,
        error_code=row.error_code,
        error_message=row.error_message,
        log=row.log if show_log else "",
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        ndcg_at_10=_figure(row),
        rejections=tuple(_rejection(session) for session in row.rejections),
        not_before=row.not_before if waits and row.not_before and row.not_before > now else None,
    )


def _rejection(session: Mapping[str, str]) -> Rejection:
    return Rejection(datetime.fromisoformat(session["at"]), session["host"], session["reason"])


def _elapsed(row: Evaluation, now: datetime) -> float | None:
    if row.started_at is None:
        return None
    return max(0.0, ((row.finished_at or now) - row.started_at).total_seconds())


def _figure(row: Evaluation) -> float | None:
    value = getattr(row, "figure", None)
    return float(value) if isinstance(value, int | float) and row.state == State.SUCCEEDED else None
