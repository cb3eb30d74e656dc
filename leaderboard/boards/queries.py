"""The one place that reads rows of leaderboards: pages, exports and REST all come here.

Each read is a fixed number of queries, however long the board is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Case, Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from evaluations.datasets.registered import by_source
from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.submissions.models import Evaluation, State, Submission, Track, overall_state

from .entries import columns_of
from .models import Entry
from .rows import DEFAULT_ORDER, Row, sort
from .times import TimesChoice, missing_metrics, shown_metrics, untimed
from .timing import withheld_of, without_times

_STATE = ("submission_id", "dataset_id", "state", "error_code", "protocol")


@dataclass(frozen=True)
class Board:
    """A benchmark as a page needs it. `columns`: a column's name to its datasets, in the board's order."""

    benchmark: Benchmark
    columns: Mapping[str, Sequence[Dataset]]
    protocol: str

    @property
    def datasets(self) -> list[Dataset]:
        return [dataset for members in self.columns.values() for dataset in members]


@dataclass(frozen=True)
class Activity:
    """A submission and how far it is, whether or not it has a row."""

    submission_id: UUID
    system_id: UUID
    system: str
    family: str
    benchmark: str
    benchmark_title: str
    state: State
    done: int
    total: int
    created_at: datetime
    average: float | None


def board(name: str) -> Board:
    """Raises Benchmark.DoesNotExist. Three queries."""
    benchmark = Benchmark.objects.get(name=name)
    return Board(benchmark, columns_of(benchmark), benchmark.protocol)


def entries(benchmark: Benchmark) -> QuerySet[Entry]:
    """The rows that a board shows, best first, each with its `rank` on the whole board. Filter it at will.

    Rank is 1 + the number of rows with a higher average: equal averages share one, and no filter changes it.
    """
    current = Entry.objects.filter(benchmark=benchmark, is_current=True)
    better = current.filter(average__gt=OuterRef("average")).order_by().values("benchmark")
    count = Coalesce(Subquery(better.annotate(count=Count("pk")).values("count")), 0)
    rank = Case(When(average__isnull=False, then=Value(1) + count), output_field=IntegerField(null=True))
    return (
        current.select_related("submission", "revision__system")
        .annotate(rank=rank)
        .order_by(F("average").desc(nulls_last=True), "revision__system__name", "submission_id")
    )


def rows(
    board: Board,
    found: QuerySet[Entry],
    order: str = DEFAULT_ORDER,
    shown: TimesChoice | None = None,
) -> list[Row]:
    """The entries as rows, in `order` (see `rows.sort`), with what may stand beside the times `shown`.

    Two queries: the entries, what is missing.
    """
    listed = list(found)
    evaluations = _unfinished(listed)
    withheld = withheld_of(row for row in evaluations if row.track == Track.LATENCY)
    missing = _by_dataset(row for row in evaluations if row.track == Track.RETRIEVAL)
    whole = [_row(board, entry, missing.get(entry.submission_id, {}), shown) for entry in listed]
    datasets = [dataset.pk for dataset in board.datasets]
    said = [
        replace(row, untimed=untimed(entry, withheld.get(entry.submission_id, []), datasets))
        for row, entry in zip(whole, listed, strict=True)
    ]
    return sort(said, order)


def underway(benchmark: Benchmark, limit: int = 10) -> list[Activity]:
    """Submissions that wait or run and have no row yet, oldest first. Two queries."""
    live = Evaluation.objects.filter(state__in=[State.QUEUED, State.RUNNING]).order_by().values("submission")
    found = Submission.objects.filter(benchmark=benchmark, entry__isnull=True, pk__in=live)
    return _activities(found.order_by("created_at", "id")[:limit])


def recent(limit: int = 8) -> list[Activity]:
    """The last submissions of the whole site, newest first. Two queries."""
    return _activities(Submission.objects.order_by("-created_at", "id")[:limit])


@dataclass(frozen=True)
class Summary:
    """A board in one line: how many systems have an average on it, and the best of them."""

    benchmark: Benchmark
    datasets: int
    systems: int
    leaders: Sequence[Entry]


def summaries(leaders: int = 3) -> list[Summary]:
    """Every board with its leaders. Three queries."""
    # Grouping drops the model's own order.
    boards = list(Benchmark.objects.annotate(dataset_count=Count("datasets")).order_by("position", "name"))
    shown = Entry.objects.filter(is_current=True, average__isnull=False)
    counts = dict(shown.order_by().values_list("benchmark").annotate(count=Count("pk")))
    higher = (
        shown.filter(benchmark=OuterRef("benchmark"), average__gt=OuterRef("average"))
        .order_by()
        .values("benchmark")
    )
    ahead = Coalesce(Subquery(higher.annotate(count=Count("pk")).values("count")), 0)
    top = shown.annotate(ahead=ahead).filter(ahead__lt=leaders).select_related("revision__system")
    by_board: dict[UUID, list[Entry]] = {}
    for entry in top.order_by("ahead", "revision__system__name"):
        by_board.setdefault(entry.benchmark_id, []).append(entry)
    return [
        Summary(found, found.dataset_count, counts.get(found.pk, 0), by_board.get(found.pk, [])[:leaders])
        for found in boards
    ]


def _row(
    board: Board,
    entry: Entry,
    evaluations: Mapping[UUID, Evaluation],
    shown: TimesChoice | None,
) -> Row:
    revision, system = entry.revision, entry.revision.system
    cells = {name: entry.cells.get(name) for name in board.columns}
    total = len(board.datasets)
    open_datasets = {dataset.pk for dataset in board.datasets if not _is_done(evaluations.get(dataset.pk))}
    return Row(
        rank=getattr(entry, "rank", None),
        system_id=system.pk,
        system=system.name,
        family=system.family,
        organisation=system.organisation,
        licence=system.licence,
        revision_id=revision.pk,
        revision=revision.short,
        kind=revision.kind,
        location=revision.location,
        options=revision.options,
        submission_id=entry.submission_id,
        average=entry.average,
        cells=cells,
        reasons={
            name: _reason(board.columns[name], evaluations) for name, value in cells.items() if value is None
        },
        metrics=shown_metrics(entry, shown),
        host=entry.host,
        times=entry.times_key,
        conditions=entry.conditions or {},
        missing=missing_metrics(entry, shown),
        state=overall_state([State(row.state) for row in evaluations.values()]),
        done=total if entry.average is not None else total - len(open_datasets),
        total=total,
        updated_at=entry.updated_at,
    )


def _is_done(evaluation: Evaluation | None) -> bool:
    return evaluation is not None and evaluation.state == State.SUCCEEDED


def _reason(datasets: Sequence[Dataset], evaluations: Mapping[UUID, Evaluation]) -> str:
    """Why a column has no value: of a group, the first member that lacks one."""
    for dataset in datasets:
        evaluation = evaluations.get(dataset.pk)
        name = f"{dataset.name} " if len(datasets) > 1 else ""
        if evaluation is None:
            return f"{name}not part of this submission"
        if evaluation.state == State.FAILED:
            return f"{name}failed ({evaluation.error_code})"
        if evaluation.state != State.SUCCEEDED:
            return f"{name}{evaluation.state}"
        if evaluation.protocol != dataset.protocol:
            return f"{name}measured under protocol {evaluation.protocol}, the board's is {dataset.protocol}"
    return "has no value"


def _unfinished(listed: Sequence[Entry]) -> list[Evaluation]:
    """Of rows without an average the retrieval evaluations, of all those that left no times. One query."""
    open_ = (entry.submission_id for entry in listed if entry.average is None)
    rows = Evaluation.objects.filter(without_times(listed) | _retrieval(open_)).select_related("dataset")
    return list(rows.only(*_STATE, "track", "dataset__name", "error_message", "rejections"))


def _retrieval(submissions: Iterable[UUID]) -> Q:
    return Q(submission__in=list(submissions), track=Track.RETRIEVAL)


def _by_dataset(evaluations: Iterable[Evaluation]) -> dict[UUID, dict[UUID, Evaluation]]:
    """By submission, then by dataset."""
    found: dict[UUID, dict[UUID, Evaluation]] = {}
    for row in evaluations:
        found.setdefault(row.submission_id, {})[row.dataset_id] = row
    return found


def _activities(found: QuerySet[Submission]) -> list[Activity]:
    listed = list(found.select_related("benchmark", "revision__system", "entry"))
    rows = Evaluation.objects.filter(_retrieval(submission.pk for submission in listed)).only(*_STATE)
    evaluations = _by_dataset(rows)
    return [_activity(submission, list(evaluations.get(submission.pk, {}).values())) for submission in listed]


def _activity(submission: Submission, evaluations: Sequence[Evaluation]) -> Activity:
    system = submission.revision.system
    entry = getattr(submission, "entry", None)
    return Activity(
        submission_id=submission.pk,
        system_id=system.pk,
        system=system.name,
        family=system.family,
        benchmark=submission.benchmark.name,
        benchmark_title=str(submission.benchmark),
        state=overall_state([State(row.state) for row in evaluations]),
        done=sum(_is_done(row) for row in evaluations),
        total=len(evaluations),
        created_at=submission.created_at,
        average=entry.average if entry else None,
    )


def source_of(dataset: Dataset) -> str:
    """The registered name a dataset comes from; empty for a folder, whose path is the server's own affair."""
    return dataset.source if by_source(dataset.source) else ""
