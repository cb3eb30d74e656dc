"""What a report must say before it is published, and what a reader of it must not see."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db.models import Q

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.report import Report
from evaluations.sparsity.sweeps import curves_of
from leaderboard.boards.recipes import recipe
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Dataset, RevisionFile
from leaderboard.submissions import checkpoints
from leaderboard.submissions.lifecycle import Claim
from leaderboard.submissions.models import Submission, Track

SWEPT = frozenset({Track.SPARSITY, Track.LATENCY})  # what has operating points


def publishable(report: Report, claim: Claim, submission: Submission, dataset: Dataset) -> Report:
    """The checked report of a claim, naming the system as it was submitted, not by its place on this worker.

    Raises EvaluationFailed `DATASET-CHANGED`, `PROTOCOL-CHANGED` or `REPORT-INVALID`.
    """
    check_dataset(report, dataset, qrels=Track.LATENCY not in claim.tracks)
    _check_tracks(report, claim, dataset)
    for track in SWEPT.intersection(claim.tracks):
        _check_sweeps(report, submission, track)
    revision = submission.revision
    own, *members = (_named(part) for part in revision.parts)
    found = report.system.get("members")
    if members:
        own["members"] = _renamed(found if isinstance(found, list) else [], members)
    worker = {
        "command": _recipe(submission, dataset, claim) + _latency_flags(claim),
        "worker": claim.worker,
        "attempt": claim.attempt,
    }
    return replace(
        report,
        system={**report.system, **own},
        dataset={**report.dataset, "name": dataset.name},
        provenance={**report.provenance, **worker},
    )


def _named(part: Part) -> dict[str, Any]:
    return {"location": part.location or None, "revision": part.version or None}


def _renamed(found: list[dict[str, Any]], members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each member as the report describes it, under the name by which it was submitted."""
    if len(found) != len(members):
        raise EvaluationFailed("REPORT-INVALID", f"the report has {len(found)} of {len(members)} members")
    return [{**described, **named} for described, named in zip(found, members, strict=True)]


def check_dataset(report: Report, dataset: Dataset, *, qrels: bool) -> None:
    """Numbers are comparable only where they were measured on the very data that the board names."""
    expected = {"corpus": dataset.corpus_checksum or None, "queries": dataset.queries_checksum}
    if qrels:
        expected["qrels"] = dataset.qrels_checksum
    found = report.dataset["checksums"]
    if not isinstance(found, Mapping):
        raise EvaluationFailed("REPORT-INVALID", "the report's dataset has no checksums")
    for name, checksum in expected.items():
        if found.get(name) != checksum:
            raise EvaluationFailed(
                "DATASET-CHANGED",
                f"the {name} of {dataset.name} on this worker differ from the board's (checksum"
                f" {str(found.get(name))[:12]}, not {str(checksum)[:12]}); this is the operator's to mend",
            )


def rejection(report: Report) -> str:
    """Why a latency session may not be published: the gate that it failed; empty where it may."""
    findings = report.tracks.get(Track.LATENCY.value)
    return str(findings.details.get("rejected", "")) if findings else ""


def host_of(report: Report) -> str:
    """The hash of the machine that a latency session was measured on."""
    return str(report.protocol.get(Track.LATENCY.value, {}).get("host_profile", ""))


def _check_tracks(report: Report, claim: Claim, dataset: Dataset) -> None:
    for track in claim.tracks:
        if track.value not in report.tracks:
            raise EvaluationFailed("REPORT-INVALID", f"the report lacks the {track.value} track")
    found = report.protocol.get(Track.RETRIEVAL.value, {}).get("hash")
    if Track.LATENCY not in claim.tracks and found != dataset.protocol:
        raise EvaluationFailed(
            "PROTOCOL-CHANGED",
            f"this worker measures {dataset.name} by protocol {found}, and the board by {dataset.protocol};"
            " this is the operator's to mend",
        )


def _latency_flags(claim: Claim) -> str:
    """A session is a command of its own: nothing else is to run in its process."""
    return f" --tracks {Track.LATENCY.value}" if Track.LATENCY in claim.tracks else ""


def _check_sweeps(report: Report, submission: Submission, track: Track) -> None:
    """A point must be of a curve that was asked for, and each curve must be there; of a rejection none is."""
    findings = report.tracks[track.value]
    if "rejected" in findings.details:
        return
    try:
        found = [str(curve.curve) for curve in curves_of(findings.details, submission.revision.kind)]
    except EvaluationError as error:
        raise EvaluationFailed("REPORT-INVALID", error.message) from error
    if found != list(submission.sweeps):
        raise EvaluationFailed("REPORT-INVALID", "the report's curves are not those that were asked for")


def _recipe(submission: Submission, dataset: Dataset, claim: Claim) -> str:
    """The command that the board prints for it, on one line."""
    revision = submission.revision
    is_swept = bool(SWEPT.intersection(claim.tracks))
    averaged = checkpoints.parts_of([submission] if is_swept else []).get(submission.pk, {})
    parts = [part.revision for part in (*revision.parts, *averaged.values())]
    found = RevisionFile.objects.filter(Q(dataset=dataset) | Q(dataset=None), revision__in=parts)
    uploads = {upload.revision_id: upload for upload in found.select_related("dataset", "revision")}
    sweeps = submission.sweeps if is_swept else ()
    printed = recipe(revision, dataset, submission.device, uploads, sweeps, averaged)
    return printed.command.replace(" \\\n    ", " ")
