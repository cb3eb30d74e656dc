"""What workers say about themselves: each function is one deed, by the database's clock."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from .models import BaselineCheck, Calibration, HostProfile, Worker

CHECK_HOLDS = timedelta(days=1)
CALIBRATION_HOLDS = timedelta(days=1)
CALIBRATIONS_CONSIDERED = 15  # a slow drift moves their median, one odd day does not
CALIBRATIONS_READ = 200  # newest first, in which the considered ones of each reference are looked for
JUMP = 0.10  # from the median so far; a session's references may be as far off
GONE_AFTER_SECONDS = 120  # a worker that was killed says nothing


@dataclass(frozen=True)
class Identity:
    """A worker process: its name, the machine's hashed facts, the versions beside them, its queues."""

    name: str
    profile: str
    facts: Mapping[str, Any]
    versions: Mapping[str, str]
    queues: Sequence[str]
    device: str

    @property
    def software(self) -> str:
        """Twelve digits that change with any version that can move a number."""
        listed = json.dumps(dict(self.versions), sort_keys=True)
        return hashlib.sha256(listed.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Reproduction:
    """A stored score and what this machine makes of it. `tried`: false where the reference cannot be had."""

    system: str
    metric: str
    expected: float
    tolerance: float
    measured: float | None
    message: str = ""
    tried: bool = True

    @property
    def outcome(self) -> BaselineCheck.Outcome:
        if not self.tried:
            return BaselineCheck.Outcome.UNKNOWN
        close = self.measured is not None and abs(self.measured - self.expected) <= self.tolerance
        return BaselineCheck.Outcome.PASSED if close else BaselineCheck.Outcome.FAILED


def know(profile: str, facts: Mapping[str, Any]) -> HostProfile:
    return HostProfile.objects.get_or_create(hash=profile, defaults={"facts": dict(facts)})[0]


def register(identity: Identity) -> Worker:
    return Worker.objects.create(
        name=identity.name,
        profile=know(identity.profile, identity.facts),
        queues=",".join(identity.queues),
        versions=dict(identity.versions),
        started_at=Now(),
        seen_at=Now(),
    )


def seen(name: str) -> None:
    Worker.objects.filter(name=name).update(seen_at=Now())


def admit(name: str) -> None:
    Worker.objects.filter(name=name).update(status=Worker.Status.ACTIVE, reason="", seen_at=Now())


def quarantine(name: str, reason: str) -> None:
    Worker.objects.filter(name=name).update(
        status=Worker.Status.QUARANTINED, reason=reason[:2000], seen_at=Now()
    )


def leave(name: str) -> None:
    Worker.objects.filter(name=name).update(status=Worker.Status.STOPPED, seen_at=Now())


def fresh_checks(identity: Identity) -> list[BaselineCheck]:
    """The last day's check of each reference on this machine with this software."""
    found = BaselineCheck.objects.filter(
        profile=identity.profile,
        software=identity.software,
        device=identity.device,
        checked_at__gt=Now() - CHECK_HOLDS,
    )
    latest: dict[str, BaselineCheck] = {}
    for check in found.order_by("checked_at"):
        latest[check.system] = check
    return list(latest.values())


def record_check(identity: Identity, found: Reproduction) -> None:
    BaselineCheck.objects.create(
        profile_id=identity.profile,
        software=identity.software,
        device=identity.device,
        system=found.system,
        metric=found.metric,
        expected=found.expected,
        tolerance=found.tolerance,
        measured=found.measured,
        outcome=found.outcome,
        message=found.message[:2000],
        checked_at=Now(),
    )


def record_calibration(
    profile: str,
    times_ms: Mapping[str, float],
    rejected: str = "",
    versions: Mapping[str, str] | None = None,
) -> None:
    """`rejected`: why it does not count. `versions`: of what decides the times; it counts for equal ones."""
    known = dict(versions or {})
    Calibration.objects.create(
        profile_id=profile,
        times_ms=dict(times_ms),
        versions=known,
        jumps={} if rejected else _jumps(times_ms, baseline(profile, known)),
        rejected=rejected[:2000],
        measured_at=Now(),
    )


def _jumps(times_ms: Mapping[str, float], so_far: Mapping[str, float]) -> dict[str, float]:
    """The medians that times are too far from: the machine changed, or its day is an odd one."""
    both = times_ms.keys() & so_far.keys()
    return {name: so_far[name] for name in sorted(both) if abs(times_ms[name] / so_far[name] - 1) > JUMP}


def calibration_is_due(profile: str, references: Collection[str], versions: Mapping[str, str]) -> bool:
    """Whether one of these, as `encoder cpu 1 bf16`, is in none of the last day's that count."""
    recent = _that_count(profile).filter(measured_at__gt=Now() - CALIBRATION_HOLDS)
    counted = [each for each in recent if each.versions == dict(versions)]
    known = {time.rpartition(" ")[0] for calibration in counted for time in calibration.times_ms}
    return not known.issuperset(references)


def counted(profile: str, versions: Mapping[str, str] | None = None) -> list[Calibration]:
    """The calibrations that count, newest first. `versions` None: those of the newest one."""
    found = list(_that_count(profile).order_by("-measured_at")[:CALIBRATIONS_READ])
    wanted = found[0].versions if versions is None and found else dict(versions or {})
    return [calibration for calibration in found if calibration.versions == wanted]


def _that_count(profile: str) -> QuerySet[Calibration]:
    return Calibration.objects.filter(profile=profile, rejected="", is_retired=False)


def baseline(profile: str, versions: Mapping[str, str] | None = None) -> dict[str, float]:
    """Reference to its median over the calibrations that count, milliseconds; empty without one."""
    return medians(counted(profile, versions))


def medians(newest_first: Iterable[Calibration]) -> dict[str, float]:
    """Of each time's last fifteen."""
    found: dict[str, list[float]] = {}
    for calibration in newest_first:
        for reference, value in calibration.times_ms.items():
            found.setdefault(reference, []).append(float(value))
    return {reference: _median(values[:CALIBRATIONS_CONSIDERED]) for reference, values in found.items()}


def _median(newest_first: Sequence[float]) -> float:
    """Of an even number the older of the two in the middle, so that a second one alone moves nothing."""
    places = sorted(range(len(newest_first)), key=newest_first.__getitem__)
    middle = places[(len(places) - 1) // 2 : len(places) // 2 + 1]
    return newest_first[max(middle)]
