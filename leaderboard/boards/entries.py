"""Keeping a leaderboard's rows up to date: the only place that averages over datasets."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db import transaction

from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.submissions.models import State, Submission, Track

from .metrics import PRIMARY, describe
from .models import Entry, Measurement
from .pooling import pooled

Columns = Mapping[str, Sequence[Dataset]]
Values = Mapping[UUID, Mapping[str, float]]


def columns_of(benchmark: Benchmark) -> dict[str, list[Dataset]]:
    """Column name to its datasets, in the board's order: one dataset, or the members of a group."""
    columns: dict[str, list[Dataset]] = {}
    for member in benchmark.members():
        columns.setdefault(member.group or member.dataset.name, []).append(member.dataset)
    return columns


def lock(submission: Submission) -> None:
    """Make refreshes of one revision's rows on one board follow each other.

    Two workers that commit two datasets at once would otherwise each miss the other's numbers.
    Every caller locks in the order of the ids, so that no two wait for each other.
    """
    siblings = Submission.objects.filter(benchmark=submission.benchmark_id, revision=submission.revision_id)
    # Not the key: rows that point at a submission may be written meanwhile.
    list(siblings.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def refresh(submission: Submission) -> Entry | None:
    """Compute the submission's row anew from its measurements; None where it has none yet (no row is made).

    A cell is the primary metric of a dataset, or the mean over a group's datasets once all are there. The
    average is the mean of the cells and exists only where every cell does. A dataset measured under another
    protocol than the catalogue's is left out: its cell is null, so there is no average either.
    """
    lock(submission)
    values = _comparable_values(submission)
    if values is None:
        Entry.objects.filter(submission=submission).delete()
        return None
    columns, host = columns_of(submission.benchmark), _host(submission)
    cells = {name: _column_value(PRIMARY, datasets, values) for name, datasets in columns.items()}
    entry, _ = Entry.objects.update_or_create(
        submission=submission,
        defaults={
            "benchmark": submission.benchmark,
            "revision": submission.revision,
            "cells": cells,
            "average": _combine(PRIMARY, cells.values()),
            "metrics": _whole_board_metrics(submission, columns, values, one_host=bool(host)),
            "host": host,
        },
    )
    _choose_current(entry)
    entry.refresh_from_db(fields=["is_current"])
    return entry


def refresh_board(benchmark: Benchmark) -> None:
    """Compute every row of a board anew, because its datasets or their protocols changed."""
    with transaction.atomic():
        for submission in Submission.objects.filter(benchmark=benchmark).select_related(
            "revision", "benchmark"
        ):
            refresh(submission)


def _host(submission: Submission) -> str:
    """The machine of all its latency sessions; empty where there are none, or several machines."""
    sessions = submission.evaluations.filter(track=Track.LATENCY, state=State.SUCCEEDED)
    hosts = set(sessions.values_list("host", flat=True))
    return hosts.pop() if len(hosts) == 1 else ""


def _comparable_values(submission: Submission) -> dict[UUID, dict[str, float]] | None:
    """Dataset id to metric to value, without nulls and datasets under another protocol; None: no results.

    Only the retrieval hash can be held against the catalogue's. The other tracks of a dataset are measured on
    the same data in the same claim, and stand or fall with it.
    """
    rows = Measurement.objects.filter(evaluation__submission=submission).values_list(
        "evaluation__dataset_id",
        "evaluation__track",
        "evaluation__dataset__protocol",
        "protocol",
        "metric",
        "value",
    )
    values: dict[UUID, dict[str, float]] = {}
    foreign: set[UUID] = set()
    measured = False
    for dataset, track, expected, protocol, metric, value in rows:
        measured = True
        if track == Track.RETRIEVAL and protocol != expected:
            foreign.add(dataset)
        if value is not None:
            values.setdefault(dataset, {})[metric] = value
    return (
        {dataset: found for dataset, found in values.items() if dataset not in foreign} if measured else None
    )


def _whole_board_metrics(
    submission: Submission, columns: Columns, values: Values, *, one_host: bool
) -> dict[str, float]:
    """Times of several machines have no mean; ratios to references do."""
    measured = {metric for found in values.values() for metric in found}
    names = {name for name in measured if one_host or not describe(name).of_host}
    combined = {
        name: _combine(name, [_column_value(name, datasets, values) for datasets in columns.values()])
        for name in sorted(names)
    }
    found = {name: value for name, value in combined.items() if value is not None}
    if "flops" in found:
        datasets = [dataset.pk for members in columns.values() for dataset in members]
        found |= pooled(submission, datasets)
    return found


def _column_value(metric: str, datasets: Sequence[Dataset], values: Values) -> float | None:
    return _combine(metric, [values.get(dataset.pk, {}).get(metric) for dataset in datasets])


def _combine(metric: str, values: Iterable[float | None]) -> float | None:
    whole = list(values)
    present = [value for value in whole if value is not None]
    return describe(metric).across.combine(present) if present and len(present) == len(whole) else None


def _choose_current(entry: Entry) -> None:
    """Of several submissions of one revision the newest complete one is shown, else the newest."""
    siblings = Entry.objects.filter(benchmark=entry.benchmark_id, revision=entry.revision_id)
    newest_first = siblings.order_by("-submission__created_at", "-submission_id")
    shown = newest_first.filter(average__isnull=False).first() or newest_first.first() or entry
    siblings.exclude(pk=shown.pk).filter(is_current=True).update(is_current=False)
    siblings.filter(pk=shown.pk, is_current=False).update(is_current=True)
