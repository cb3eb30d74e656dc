"""Keeping a leaderboard's rows up to date: the only place that averages over datasets."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from django.db import transaction

from leaderboard.catalog.models import Benchmark, Dataset
from leaderboard.submissions.models import Submission

from .comparable import Measured, Values, measured
from .conditions import Conditions, agreed
from .metrics import PRIMARY, Scope, describe
from .models import Entry
from .pooling import pooled

Columns = Mapping[str, Sequence[Dataset]]


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
    found = measured(submission)
    if found is None:
        Entry.objects.filter(submission=submission).delete()
        return None
    columns = columns_of(submission.benchmark)
    cells = {name: _column_value(PRIMARY, datasets, found.values) for name, datasets in columns.items()}
    conditions = _conditions(columns, found)
    metrics = _whole_board_metrics(submission, columns, found, conditions)
    entry, _ = Entry.objects.update_or_create(
        submission=submission,
        defaults={
            "benchmark": submission.benchmark,
            "revision": submission.revision,
            "cells": cells,
            "average": _combine(PRIMARY, cells.values()),
            "metrics": metrics,
            "reasons": _reasons(columns, found, conditions, metrics),
            "host": conditions.host if conditions.times_key else "",
            "conditions": conditions.to_json(),
            "times_key": conditions.times_key,
            "ratio_key": conditions.ratio_key,
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


def refresh_outdated() -> int:
    """Compute anew the rows from before conditions were kept; returns how many. After a migration."""
    outdated = Submission.objects.filter(entry__conditions__isnull=True)
    listed = list(outdated.select_related("revision", "benchmark").order_by("pk"))
    return sum(refresh(submission) is not None for submission in listed)


def _conditions(columns: Columns, found: Measured) -> Conditions:
    """Of the sessions on the board's datasets, as far as they agree."""
    datasets = [dataset.pk for members in columns.values() for dataset in members]
    return agreed([found.sessions[key] for key in datasets if key in found.sessions])


def _whole_board_metrics(
    submission: Submission, columns: Columns, found: Measured, conditions: Conditions
) -> dict[str, float]:
    """Times under differing conditions have no mean."""
    names = {metric for of_dataset in found.values.values() for metric in of_dataset}
    combined = {
        name: _combine(name, [_column_value(name, datasets, found.values) for datasets in columns.values()])
        for name in sorted(names)
        if _is_comparable(name, conditions)
    }
    whole = {name: value for name, value in combined.items() if value is not None}
    if "flops" in whole:
        datasets = [dataset.pk for members in columns.values() for dataset in members]
        whole |= pooled(submission, datasets)
    return whole


def _is_comparable(name: str, conditions: Conditions) -> bool:
    keys = {Scope.ANYWHERE: "any", Scope.RATIO: conditions.ratio_key, Scope.TIMES: conditions.times_key}
    return bool(keys[describe(name).scope])


def _reasons(
    columns: Columns, found: Measured, conditions: Conditions, whole: Collection[str]
) -> dict[str, str]:
    """Metric to why the board has no number of it: its null on the first dataset, or no mean of several.

    What became of sessions that are not there changes without a result, and is read with the row.
    """
    datasets = [dataset for members in columns.values() for dataset in members]
    said: dict[str, str] = {}
    for dataset in datasets:
        where = f"{dataset.name}: " if len(datasets) > 1 else ""
        for name, reason in found.reasons.get(dataset.pk, {}).items():
            if reason:
                said.setdefault(name, f"{where}{reason}")
        for name in found.values.get(dataset.pk, {}):
            if not _is_comparable(name, conditions):
                said.setdefault(name, conditions.no_mean)
    return {name: reason for name, reason in said.items() if name not in whole and name != PRIMARY}


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
