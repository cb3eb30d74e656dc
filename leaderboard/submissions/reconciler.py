"""Bringing rows and broker together again: whatever hint was lost, a worker hears of all that waits.

Runs beside the web and the workers, every few seconds; several at once do no harm.
"""

import logging
import time
from datetime import timedelta
from typing import NoReturn

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from . import lifecycle, orphans, outbox
from .models import Evaluation, State

logger = logging.getLogger(__name__)

FIRST_INTERVAL_SECONDS = 60
LONGEST_INTERVAL_SECONDS = 600
SWEEP_SECONDS = 3600


def reconcile() -> None:
    """One round: end what used its attempts, then send hints for what should have had one."""
    if count := lifecycle.fail_exhausted():
        logger.warning("%d evaluations used their attempts", count)
    outbox.publish(unheard())


def unheard() -> QuerySet[Evaluation]:
    """What waits for a worker, and whose last hint is missing, long ago, or older than its worker's loss."""
    no_hint = Q(published_at__isnull=True) | hint_is_stale()
    waiting = Q(no_hint, state=State.QUEUED)
    # A hint sent before the lease ran out was answered by the worker that has gone.
    abandoned = lifecycle.lease_expired() & (no_hint | Q(published_at__lt=F("lease_until")))
    unheard = lifecycle.claimable() & (waiting | abandoned)
    return Evaluation.objects.filter(unheard).select_related("submission")


def hint_is_stale() -> Q:
    """A hint waits in a full queue or is lost, nobody can tell which: the interval doubles to ten minutes."""
    seconds, sent, stale = FIRST_INTERVAL_SECONDS, 1, Q(pk__in=[])
    while seconds < LONGEST_INTERVAL_SECONDS:
        stale |= Q(publications__lte=sent, published_at__lt=Now() - timedelta(seconds=seconds))
        seconds, sent = seconds * 2, sent + 1
    return stale | Q(published_at__lt=Now() - timedelta(seconds=LONGEST_INTERVAL_SECONDS))


def run_forever() -> NoReturn:
    """Reconcile every few seconds. A database that is away is waited for."""
    sweep_at = 0.0
    while True:
        try:
            reconcile()
            if time.monotonic() >= sweep_at:
                orphans.sweep()
                sweep_at = time.monotonic() + SWEEP_SECONDS
        except (DatabaseError, OSError):
            logger.exception("this round was lost; the next one is in %d s", settings.RECONCILE_SECONDS)
            connections.close_all()
        time.sleep(settings.RECONCILE_SECONDS)
