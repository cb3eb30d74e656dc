"""What pages and REST read of the machines that measure; each read is a fixed number of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import Now

from . import registry
from .models import BaselineCheck, Calibration, HostProfile, Worker
from .registry import GONE_AFTER_SECONDS

SHOWN_WORKERS = 20
SHOWN_CHECKS = 20
SHOWN_TIMES = 8  # of each reference
SHOWN_CALIBRATIONS = 60  # over REST


@dataclass(frozen=True)
class PastTime:
    """What a calibration found, ms. `jump`: how far from the median before it, a share; None: near it."""

    calibration: Calibration
    ms: float
    jump: float | None


@dataclass(frozen=True)
class ReferenceTime:
    """One reference: the median that sessions are held against, and its past, newest first, in ms."""

    reference: str
    median_ms: float
    history: Sequence[PastTime]


@dataclass(frozen=True)
class Host:
    """Everything the page of one machine shows.

    `calibrations`: all that the baseline is made of, newest first. Beside them, how many were `rejected`.
    """

    profile: HostProfile
    workers: Sequence[Worker]
    checks: Sequence[BaselineCheck]
    calibrations: Sequence[Calibration]
    rejected: int
    last_rejected: Calibration | None

    @property
    def versions(self) -> Mapping[str, str]:
        """Of what decides the times, when the baseline's calibrations were made."""
        return self.calibrations[0].versions if self.calibrations else {}

    @property
    def baseline_ms(self) -> dict[str, float]:
        return registry.medians(self.calibrations)


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
    """Raises HostProfile.DoesNotExist. Six queries."""
    profile = HostProfile.objects.get(pk=profile_hash)
    rejected = profile.calibrations.exclude(rejected="")
    return Host(
        profile,
        list(profile.workers.all()[:SHOWN_WORKERS]),
        list(profile.checks.all()[:SHOWN_CHECKS]),
        registry.counted(profile.hash),
        rejected.count(),
        rejected.first(),
    )


def reference_times(found: Host) -> list[ReferenceTime]:
    """Of the calibrations that the baseline is made of, by reference. No query."""
    history: dict[str, list[PastTime]] = {}
    for calibration in found.calibrations:
        for reference, value in calibration.times_ms.items():
            history.setdefault(reference, []).append(_past(calibration, reference, float(value)))
    medians = sorted(found.baseline_ms.items())
    return [ReferenceTime(name, ms, history[name][:SHOWN_TIMES]) for name, ms in medians]


def _past(calibration: Calibration, reference: str, ms: float) -> PastTime:
    before = calibration.jumps.get(reference)
    return PastTime(calibration, ms, ms / before - 1 if before else None)
