"""Sending hints to the broker. A row is its own outbox: it knows when a hint was last sent, and how often."""

import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.db.models import F
from django.db.models.functions import Now

from leaderboard import broker

from .lifecycle import LIVE, group_of
from .models import Evaluation, Track

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hint:
    """One message for one group of evaluations: whoever claims the first of them claims all."""

    evaluation_ids: tuple[uuid.UUID, ...]
    queue: str


def publish_submission(submission_id: uuid.UUID) -> None:
    """Send a hint for each group of a submission that waits. To be called when its transaction is committed.

    A broker that is down is no error: the reconciler sends what was never sent.
    """
    publish(Evaluation.objects.filter(submission=submission_id, state__in=LIVE).select_related("submission"))


def publish(rows: Iterable[Evaluation]) -> int:
    """Send one hint a group and note it on the rows, until the broker fails. Returns the number sent."""
    waiting = hints(rows)
    sent = 0
    try:
        with broker.connection() as connection:
            for hint in waiting:
                broker.publish(hint.evaluation_ids[0], hint.queue, over=connection)
                _note(hint)
                sent += 1
    except broker.BrokerUnavailable as error:
        logger.warning("%d hints wait for the reconciler: %s", len(waiting) - sent, error)
    return sent


def hints(rows: Iterable[Evaluation]) -> list[Hint]:
    """One hint for each group among the rows, oldest first; a group's queue is its first track's."""
    ordered = sorted(rows, key=_group_key)
    found = [_hint(list(members)) for _, members in groupby(ordered, key=_group_key)]
    ages = {row.pk: row.created_at for row in ordered}
    return sorted(found, key=lambda hint: ages[hint.evaluation_ids[0]])


def _group_key(row: Evaluation) -> tuple[str, str, str]:
    return str(row.submission_id), str(row.dataset_id), group_of(row.track)[0]


def _hint(members: Sequence[Evaluation]) -> Hint:
    first = min(members, key=lambda row: list(Track).index(Track(row.track)))
    others = (row.pk for row in members if row is not first)
    return Hint((first.pk, *others), broker.queue_name(first.track, first.submission.device))


def _note(hint: Hint) -> None:
    Evaluation.objects.filter(pk__in=hint.evaluation_ids, state__in=LIVE).update(
        published_at=Now(), publications=F("publications") + 1
    )
