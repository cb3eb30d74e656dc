"""What a report must say before it is published, and what a reader of it must not see."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from evaluations.errors import EvaluationFailed
from evaluations.report import Report
from evaluations.systems import kind_of
from leaderboard.catalog.models import Dataset, Revision
from leaderboard.submissions.lifecycle import Claim
from leaderboard.submissions.models import Submission, Track


def publishable(report: Report, claim: Claim, submission: Submission, dataset: Dataset) -> Report:
    """The checked report of a claim, naming the system as it was submitted, not by its place on this worker.

    Raises EvaluationFailed `DATASET-CHANGED`, `PROTOCOL-CHANGED` or `REPORT-INVALID`.
    """
    check_dataset(report, dataset, qrels=True)
    _check_tracks(report, claim, dataset)
    revision = submission.revision
    named = {"location": revision.location or None, "revision": revision.version or None}
    worker = {
        "command": recipe(revision, dataset, claim, submission.device),
        "worker": claim.worker,
        "attempt": claim.attempt,
    }
    return replace(
        report,
        system={**report.system, **named},
        dataset={**report.dataset, "name": dataset.name},
        provenance={**report.provenance, **worker},
    )


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


def _check_tracks(report: Report, claim: Claim, dataset: Dataset) -> None:
    for track in claim.tracks:
        if track.value not in report.tracks:
            raise EvaluationFailed("REPORT-INVALID", f"the report lacks the {track.value} track")
    found = report.protocol.get(Track.RETRIEVAL.value, {}).get("hash")
    if found != dataset.protocol:
        raise EvaluationFailed(
            "PROTOCOL-CHANGED",
            f"this worker measures {dataset.name} by protocol {found}, and the board by {dataset.protocol};"
            " this is the operator's to mend",
        )


def recipe(revision: Revision, dataset: Dataset, claim: Claim, device: str) -> str:
    """The command that repeats the evaluation, as a person types it on a machine of their own."""
    kind = kind_of(revision.kind)
    place = {"nothing": "", "model": f":{revision.location}@{revision.version}", "file": ":RUN-FILE"}[
        kind.takes
    ]
    defaults = {option.name: option.default for option in kind.options}
    changed = {name: value for name, value in revision.options.items() if value != defaults.get(name)}
    options = [part for name, value in changed.items() for part in ("--option", f"{name}={_text(value)}")]
    source = dataset.name if Path(dataset.source).is_absolute() else dataset.source
    arguments = ["evaluate", "--system", f"{revision.kind}{place}", *options, "--dataset", source]
    arguments += ["--split", dataset.split, "--self-hits", dataset.self_hits]
    arguments += ["--tracks", ",".join(track.value for track in claim.tracks)]
    arguments += ["--device", "cuda" if device == "gpu" else "cpu", "--out", "result"]
    return shlex.join(["python", "-m", "evaluations", *arguments])


def _text(value: object) -> str:
    """As `--option` reads it."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
