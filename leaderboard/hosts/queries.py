"""What pages and REST read of the machines that measure; each read is a fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import Now

from . import registry
from .models import BaselineCheck, Calibration, HostProfile, Worker
from .registry import GONE_AFTER_SECONDS

SHOWN_WORKERS = 20
SHOWN_CHECKS = 20
SHOWN_CALIBRATIONS = 60


@dataclass(frozen=True)
class ReferenceTime:
    """One reference: the median that sessions are held against, and its past, newest first, in ms."""

    reference: str
    median_ms: float
    history: Sequence[tuple[Calibration, float]]


@dataclass(frozen=True)
class Host:
    """Everything the page of one machine shows."""

    profile: HostProfile
    workers: Sequence[Worker]
    checks: Sequence[BaselineCheck]
    calibrations: Sequence[Calibration]


def alive(prefix: str = "") -> Q:
    """Workers that said so within two minutes; one that was killed says nothing more."""
    recent = Q(**{f"{prefix}seen_at__gt": Now() - timedelta(seconds=GONE_AFTER_SECONDS)})
    return recent & ~Q(**{f"{prefix}status": Worker.Status.STOPPED})


def hosts() -> QuerySet[HostProfile]:
    """Every machine that ever measured, those with a worker first. One query."""
    quarantined = alive("workers__") & Q(workers__status=Worker.Status.QUARANTINED)
    return HostProfile.objects.annotate(
        workers_alive=Count("workers", filter=alive("workers__"), distinct=True),
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


def reference_times(found: Host) -> list[ReferenceTime]:
    """Of the calibrations that count, by reference. One query, for the medians."""
    history: dict[str, list[tuple[Calibration, float]]] = {}
    for calibration in found.calibrations:
        if not calibration.rejected and not calibration.is_retired:
            for reference, value in calibration.times_ms.items():
                history.setdefault(reference, []).append((calibration, float(value)))
    medians = registry.baseline(found.profile.hash)
    known = sorted(name for name in history if name in medians)
    return [ReferenceTime(name, medians[name], history[name]) for name in known]
