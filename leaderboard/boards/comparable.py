"""What of a submission's measurements may stand in its row, and why the others may not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from evaluations.protocol import retrieval_hash_of
from leaderboard.submissions.models import Submission, Track

from .conditions import Conditions
from .models import Measurement

FOREIGN = "measured under another protocol than the board's"

Values = Mapping[UUID, Mapping[str, float]]
Reasons = Mapping[UUID, Mapping[str, str]]


@dataclass(frozen=True)
class Measured:
    """By dataset: metric to value, metric to the reason that it has none, conditions of its session."""

    values: Values
    reasons: Reasons
    sessions: Mapping[UUID, Conditions]


def measured(submission: Submission) -> Measured | None:
    """None where nothing was measured yet. Two queries.

    A dataset under another retrieval protocol than the catalogue's is foreign as a whole. A latency session
    is claimed apart from the rest, so its own facts must name the catalogue's data too.
    """
    rows = list(
        Measurement.objects.filter(evaluation__submission=submission).values_list(
            *("evaluation__dataset_id", "evaluation__track", "evaluation__dataset__protocol"),
            *("protocol", "metric", "value", "reason"),
        )
    )
    if not rows:
        return None
    sessions = dict(_sessions(submission))
    foreign = {
        dataset
        for dataset, track, expected, protocol, *_ in rows
        if track == Track.RETRIEVAL and protocol != expected
    }
    values: dict[UUID, dict[str, float]] = {}
    reasons: dict[UUID, dict[str, str]] = {}
    for dataset, track, _, _, metric, value, reason in rows:
        if dataset in foreign or (track == Track.LATENCY and dataset not in sessions):
            reasons.setdefault(dataset, {})[metric] = FOREIGN
        elif value is None:
            reasons.setdefault(dataset, {})[metric] = reason
        else:
            values.setdefault(dataset, {})[metric] = value
    return Measured(values, reasons, {key: found for key, found in sessions.items() if key not in foreign})


def _sessions(submission: Submission) -> Iterator[tuple[UUID, Conditions]]:
    """Of the datasets that the catalogue has: those whose report names its data and its own conditions."""
    rows = submission.evaluations.filter(track=Track.LATENCY).values_list(
        "dataset_id", "dataset__protocol", "dataset__qrels_checksum", "report__protocol__latency"
    )
    for dataset, expected, qrels, protocol in rows:
        if protocol and retrieval_hash_of(protocol, qrels) == expected:
            conditions = Conditions.of(protocol)
            if conditions is not None:
                yield dataset, conditions
