"""What pages and REST read of the machines that measure; each read is a fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import Now

from .models import BaselineCheck, Calibration, HostProfile, Worker
from .registry import GONE_AFTER_SECONDS

SHOWN_WORKERS = 20
SHOWN_CHECKS = 20
SHOWN_CALIBRATIONS = 60


@dataclass(frozen=True)
class ReferenceTime:
    """One part of one reference: the baseline it is held against, and its past, newest first, in ms."""

    reference: str
    part: str
    history: Sequence[tuple[Calibration, float]]


@dataclass(frozen=True)
class Host:
    """Everything the page of one machine shows."""

    profile: HostProfile
    workers: Sequence[Worker]
    checks: Sequence[BaselineCheck]
    calibrations: Sequence[Calibration]


def alive() -> Q:
    """Workers that said so within two minutes; one that was killed says nothing more."""
    recent = Q(seen_at__gt=Now() - timedelta(seconds=GONE_AFTER_SECONDS))
    return recent & ~Q(status=Worker.Status.STOPPED)


def hosts() -> QuerySet[HostProfile]:
    """Every machine that ever measured, those with a worker first. One query."""
    is_alive = Q(
        workers__seen_at__gt=Now() - timedelta(seconds=GONE_AFTER_SECONDS),
    ) & ~Q(workers__status=Worker.Status.STOPPED)
    quarantined = is_alive & Q(workers__status=Worker.Status.QUARANTINED)
    return HostProfile.objects.annotate(
        workers_alive=Count("workers", filter=is_alive, distinct=True),
        workers_quarantined=Count("workers", filter=quarantined, distinct=True),
        seen_at=Max("workers__seen_at"),
    ).order_by("-workers_alive", "-seen_at", "hash")


def host(profile_hash: str) -> Host:
    """Raises HostProfile.DoesNotExist. Four queries."""
    profile = HostProfile.objects.get(pk=profile_hash)
    return Host(
        profile,
        list(profile.workers.all()[:SHOWN_WORKERS]),
        list(profile.checks.all()[:SHOWN_CHECKS]),
        list(profile.calibrations.all()[:SHOWN_CALIBRATIONS]),
    )


def reference_times(calibrations: Sequence[Calibration]) -> list[ReferenceTime]:
    """The calibrations that count, by reference and part."""
    found: dict[tuple[str, str], list[tuple[Calibration, float]]] = {}
    for calibration in calibrations:
        if calibration.rejected or calibration.is_retired:
            continue
        for reference, parts in calibration.references.items():
            for part, value in parts.items():
                found.setdefault((reference, part), []).append((calibration, float(value)))
    return [ReferenceTime(reference, part, history) for (reference, part), history in sorted(found.items())]
