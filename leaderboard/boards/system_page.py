"""Everything the page of one system shows, read in a fixed number of queries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Dataset, Revision, RevisionFile, System
from leaderboard.submissions import checkpoints
from leaderboard.submissions.models import Artefact, Evaluation, State, Submission, Track

from .metrics import Metric, ordered
from .models import Entry, Measurement
from .part_figures import PartFigures, part_figures
from .points import Figure, figures_of
from .profile import Group, Inside, groups_of, inside_of
from .provenance import Provenance, provenance
from .recipes import Recipe, recipe
from .swept import paired
from .timing import Session, Withheld, sessions_of, withheld_of, without_times

Uploads = Mapping[tuple[UUID, UUID | None], RevisionFile]  # by revision, and by dataset where it is of one


@dataclass(frozen=True)
class Value:
    """A number of one dataset; without one, the reason."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """A metric over a board: its mean (or sum, see the metric), and its value on each dataset.

    `reason`: why it has none over the board, where that is known.
    """

    metric: Metric
    overall: float | None
    values: Sequence[Value]
    reason: str = ""


@dataclass(frozen=True)
class DatasetResult:
    """What came of one dataset: the evaluation, its files, where it ran, and how to repeat it.

    `uploads`: the submitted runs, each with the name of the member that it is of; empty for its own.
    """

    dataset: Dataset
    evaluation: Evaluation
    artefacts: Sequence[Artefact]
    uploads: Sequence[tuple[str, RevisionFile]]
    recipe: Recipe
    provenance: Provenance
    warnings: Sequence[str]
    inside: Inside | None
    parts: PartFigures | None = None


@dataclass(frozen=True)
class Result:
    """The row of one revision on one board, in full. `lines` are the metrics that a board shows.

    `profile`: everything of the sparsity profile, by family. `checkpoints`: what its sweeps average it with,
    by the ids of their submissions.
    """

    entry: Entry
    lines: Sequence[Line]
    datasets: Sequence[DatasetResult]
    profile: Sequence[Group]
    sessions: Sequence[Session] = ()
    withheld: Sequence[Withheld] = ()
    figures: Sequence[Figure] = ()
    checkpoints: Mapping[str, Part] = field(default_factory=dict)

    @property
    def rules(self) -> Mapping[str, str]:
        """How knee and drop are found, in words; the same for every curve that has them."""
        curves = (curve for figure in self.figures for curve in figure.curves)
        return next((curve.rules for curve in curves if curve.rules), {})

    @property
    def files(self) -> Mapping[str, str]:
        """File name to SHA-256: as pinned, or as the first evaluation found them where pinning saw none."""
        reports = [result.evaluation.report or {} for result in self.datasets]
        found = [report.get("system", {}).get("files", {}) for report in reports]
        return self.entry.revision.files or next((files for files in found if files), {})

    @property
    def members(self) -> list[tuple[Part, Mapping[str, str]]]:
        """What it is made of, with the files of each: as pinned, or as the first evaluation found them."""
        reports = [result.evaluation.report or {} for result in self.datasets]
        found = [report.get("system", {}).get("members", []) for report in reports]
        parts = self.entry.revision.made_of
        seen: list[dict[str, Any]] = next(
            (members for members in found if len(members) == len(parts)), [{}] * len(parts)
        )
        return [
            (part, part.files or member.get("files", {})) for part, member in zip(parts, seen, strict=True)
        ]

    @property
    def is_one_dataset(self) -> bool:
        """The board's numbers are then the dataset's, and need no column of their own."""
        return len(self.entry.cells) == len(self.datasets) == 1

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Each reason for a null once, with the metrics and datasets it concerns."""
        found: dict[str, list[str]] = {}
        for line in self.lines:
            for value, result in zip(line.values, self.datasets, strict=True):
                if value.value is None and value.reason:
                    found.setdefault(value.reason, []).append(f"{line.metric.label} on {result.dataset.name}")
        return [(", ".join(places), reason) for reason, places in found.items()]


def results_of(system: System) -> list[Result]:
    """The system's rows on every board, best-known board first. Seven queries, and one where it was swept."""
    entries = (
        Entry.objects.filter(revision__system=system, is_current=True)
        .select_related("benchmark", "revision", "submission")
        .order_by("benchmark__position", "benchmark__name", "-submission__created_at")
    )
    listed = list(entries)
    evaluations = _evaluations(listed)
    averaged = checkpoints.parts_of(entry.submission for entry in listed)
    parts = [part for entry in listed for part in entry.revision.parts]
    parts += [part for named in averaged.values() for part in named.values()]
    uploads = _uploads({part.revision for part in parts if part.revision})
    absent = Evaluation.objects.filter(without_times(listed)).select_related("dataset")
    withheld = withheld_of(absent)
    return [
        replace(
            _result(
                entry,
                evaluations.get(entry.submission_id, []),
                uploads,
                averaged.get(entry.submission_id, {}),
            ),
            sessions=sessions_of(evaluations.get(entry.submission_id, [])),
            withheld=withheld.get(entry.submission_id, []),
        )
        for entry in listed
    ]


def submissions_of(system: System) -> QuerySet[Submission]:
    """Every submission of the system, newest first, with what its state needs."""
    states = Prefetch("evaluations", Evaluation.objects.only("id", "state", "submission_id"))
    found = Submission.objects.filter(revision__system=system).select_related(
        "benchmark", "revision", "owner"
    )
    return found.prefetch_related(states).order_by("-created_at")


def _evaluations(entries: Iterable[Entry]) -> dict[UUID, list[Evaluation]]:
    """Of the submissions shown, by submission; those that succeeded, in the benchmark's order."""
    rows = (
        Evaluation.objects.filter(
            submission__in=[entry.submission_id for entry in entries], state=State.SUCCEEDED
        )
        .select_related("dataset")
        .defer("log")
        .prefetch_related(
            Prefetch("measurements", Measurement.objects.order_by("metric")), "artefacts", "operating_points"
        )
        .order_by("dataset__benchmarkdataset__position", "dataset__name", "track")
    )
    found: dict[UUID, list[Evaluation]] = {}
    for row in rows:
        known = found.setdefault(row.submission_id, [])
        if row not in known:  # a dataset of several boards comes once for each
            known.append(row)
    return found


def _uploads(revisions: Iterable[UUID]) -> Uploads:
    rows = RevisionFile.objects.filter(revision__in=list(revisions)).select_related("dataset", "revision")
    return {(row.revision_id, row.dataset_id): row for row in rows}


def _result(
    entry: Entry,
    evaluations: Sequence[Evaluation],
    uploads: Uploads,
    averaged: Mapping[str, Part],
) -> Result:
    retrieval = [row for row in evaluations if row.track == Track.RETRIEVAL]
    sparsity = {row.dataset_id: row for row in evaluations if row.track == Track.SPARSITY}
    values = _values(evaluations)
    names = {metric for found in values.values() for metric in found}
    lines = [
        Line(
            metric,
            entry.average if metric.name == "nDCG@10" else entry.metrics.get(metric.name),
            [values[row.dataset_id].get(metric.name, Value(None)) for row in retrieval],
            entry.reasons.get(metric.name, ""),
        )
        for metric in ordered(names | set(entry.metrics))
    ]
    insides = {row.dataset_id: inside_of(row.report) for row in evaluations if row.track == Track.SPARSITY}
    datasets = [
        replace(
            _dataset_result(entry, row, uploads, averaged),
            inside=insides.get(row.dataset_id),
            parts=part_figures(sparsity.get(row.dataset_id)),
        )
        for row in retrieval
    ]
    headlines = [line for line in lines if _is_headline(line)]
    figures = figures_of(paired(evaluations), checkpoints.titles(averaged))
    return Result(entry, headlines, datasets, groups_of(lines), figures=figures, checkpoints=averaged)


def _is_headline(line: Line) -> bool:
    """Of the sparsity profile, what a board has a column for and this system a number."""
    if line.metric.family is None:
        return True
    return line.metric.on_board and any(value.value is not None for value in line.values)


def _values(evaluations: Iterable[Evaluation]) -> dict[UUID, dict[str, Value]]:
    found: dict[UUID, dict[str, Value]] = {}
    for evaluation in evaluations:
        of_dataset = found.setdefault(evaluation.dataset_id, {})
        for row in evaluation.measurements.all():
            of_dataset[row.metric] = Value(row.value, row.reason)
    return found


def _dataset_result(
    entry: Entry, evaluation: Evaluation, uploads: Uploads, averaged: Mapping[str, Part]
) -> DatasetResult:
    parts = (*entry.revision.parts, *averaged.values())
    found = [
        (part.name, uploads.get((part.revision, evaluation.dataset_id)) or uploads.get((part.revision, None)))
        for part in parts
        if part.revision
    ]
    own = [(name, upload) for name, upload in found if upload and upload.dataset_id]  # runs: for everyone
    by_revision = {upload.revision_id: upload for _, upload in found if upload}
    report: Mapping[str, Any] = evaluation.report or {}
    warnings = [
        *report.get("system", {}).get("warnings", []),
        *report.get("dataset", {}).get("warnings", []),
    ]
    return DatasetResult(
        dataset=evaluation.dataset,
        evaluation=evaluation,
        artefacts=list(evaluation.artefacts.all()),
        uploads=own,
        recipe=recipe(
            entry.revision,
            evaluation.dataset,
            entry.submission.device,
            by_revision,
            entry.submission.sweeps,
            averaged,
        ),
        provenance=provenance(evaluation),
        warnings=warnings,
        inside=None,
    )


def option_list(revision: Revision) -> list[tuple[str, str]]:
    unset = "as the model says" if revision.location else "not set"
    return [
        (name, unset if value is None else str(value)) for name, value in sorted(revision.options.items())
    ]
