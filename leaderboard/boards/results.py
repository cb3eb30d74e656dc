"""Committing a worker's results: fence, measurements, artefacts and the board's row, all or nothing."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from django.db import transaction

from evaluations.report import Report
from evaluations.tracks import Findings
from leaderboard.submissions import lifecycle
from leaderboard.submissions.models import Artefact, Submission, Track

from . import entries, points, swept
from .models import Measurement, OperatingPoint

REASON_LENGTH = 300


class BadReportError(Exception):
    """The evaluator wrote a report that does not hold what it must. Our error, never the submitter's."""


def commit(
    claim: lifecycle.Claim, report: Report, artefacts: Sequence[lifecycle.StoredArtefact] = ()
) -> None:
    """End the claimed evaluations with the report that was read, in one transaction.

    Raises LeaseLost where the claim is no longer held, BadReportError where a track, its hash or a number is
    missing or not finite; nothing is written then. The artefacts' files lie in the default storage already.
    """
    outcomes = {key: _outcome(report, track) for track, key in claim.tracks.items()}
    measurements = [row for track, key in claim.tracks.items() for row in _measurements(report, track, key)]
    operating_points = _operating_points(report, claim)
    with transaction.atomic():
        lifecycle.succeed(claim, outcomes)
        # An attempt that lost its claim rolled back: what is there is from before an operator's requeue.
        Measurement.objects.filter(evaluation__in=claim.fences).delete()
        Artefact.objects.filter(evaluation__in=claim.fences).delete()
        OperatingPoint.objects.filter(evaluation__in=claim.fences).delete()
        Measurement.objects.bulk_create(measurements)
        OperatingPoint.objects.bulk_create(operating_points)
        Artefact.objects.bulk_create(_artefact(file, claim) for file in artefacts)
        entries.refresh(
            Submission.objects.select_related("revision", "benchmark").get(pk=claim.submission_id)
        )


def _outcome(report: Report, track: Track) -> lifecycle.Outcome:
    """Each evaluation keeps the report with its own track only."""
    own = replace(report, tracks={track.value: _findings(report, track)})
    host = report.protocol[track.value].get("host_profile", "") if track == Track.LATENCY else ""
    return lifecycle.Outcome(_protocol_hash(report, track), own.to_dict(), str(host))


def _findings(report: Report, track: Track) -> Findings:
    if track.value not in report.tracks:
        raise BadReportError(f"the report has no {track.value} track")
    return report.tracks[track.value]


def _protocol_hash(report: Report, track: Track) -> str:
    found = report.protocol.get(track.value, {}).get("hash")
    if not isinstance(found, str) or not found:
        raise BadReportError(f"the report has no protocol hash of the {track.value} track")
    return found


def _measurements(report: Report, track: Track, evaluation: UUID) -> Iterator[Measurement]:
    found, protocol = _findings(report, track), _protocol_hash(report, track)
    intervals = found.details.get("intervals")
    for metric, value in found.metrics.items():
        low, high = _interval(intervals, metric)
        yield Measurement(
            evaluation_id=evaluation,
            metric=metric,
            value=_number(metric, value),
            reason=found.reasons.get(metric, "")[:REASON_LENGTH] if value is None else "",
            protocol=protocol,
            low=low,
            high=high,
        )


def _interval(intervals: object, metric: str) -> tuple[float | None, float | None]:
    """The 95 % interval that the report has of a metric, if any."""
    found = intervals.get(metric) if isinstance(intervals, dict) else None
    if not isinstance(found, list) or len(found) != 2:
        return None, None
    return _number(metric, found[0]), _number(metric, found[1])


def _operating_points(report: Report, claim: lifecycle.Claim) -> list[OperatingPoint]:
    """A row a point of the curves that the sparsity track judged, or the latency track timed."""
    rows: list[OperatingPoint] = []
    kind = str(report.system["kind"])
    for track in swept.TRACKS.intersection(claim.tracks):
        rows += points.rows_of(_findings(report, track).details, kind, claim.tracks[track], track)
    for row in rows:
        for metric, value in row.metrics.items():
            _number(metric, value)
    return rows


def _number(metric: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadReportError(
            f"{metric} is {value!r}, which is not a finite number: a metric that does not apply is null"
        )
    return float(value)


def _artefact(file: lifecycle.StoredArtefact, claim: lifecycle.Claim) -> Artefact:
    """Of a claim's evaluations, retrieval owns the files: report, run and per-query values are its own."""
    owner = claim.tracks.get(Track.RETRIEVAL) or next(iter(claim.tracks.values()))
    return Artefact(
        evaluation_id=owner,
        name=file.name,
        file=file.path,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
    )
