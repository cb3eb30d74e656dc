"""The life cycle of an evaluation: each transition is a verb, and each is one conditional UPDATE.

    queued <-> running(fence n) -> succeeded | failed(code) | cancelled        queued -> cancelled

A claim takes a submission's retrieval and sparsity evaluations of one dataset together, so that a corpus is
encoded once; latency is claimed alone. The fence grows with every claim, and everything a worker writes
requires it: a worker that lost its lease can write nothing any more. Times are the database's, since the
clocks of hosts differ.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from leaderboard.accounts.models import User

from .models import AuditEvent, Evaluation, State, Submission, Track

GROUPS = ((Track.RETRIEVAL, Track.SPARSITY), (Track.LATENCY,))
LIVE = (State.QUEUED, State.RUNNING)
WORKER_LOST = "WORKER-LOST"
TOO_NOISY = "LATENCY-REJECTED"


class LeaseLost(Exception):  # noqa: N818 - an event to act on, not an error
    """The evaluation is no longer ours: another worker took it over, or it was cancelled."""


@dataclass(frozen=True)
class Claim:
    """What a worker holds. `fences` has one fence for each evaluation of the claim."""

    submission_id: uuid.UUID
    dataset_id: uuid.UUID
    worker: str
    attempt: int
    tracks: Mapping[Track, uuid.UUID]
    fences: Mapping[uuid.UUID, int]

    @property
    def lead(self) -> uuid.UUID:
        """The evaluation that owns the claim's files: retrieval's, or the only one."""
        return self.tracks.get(Track.RETRIEVAL) or next(iter(self.tracks.values()))


@dataclass(frozen=True)
class StoredArtefact:
    """A file that lies in the default storage, synced, under the folder of the claim that made it."""

    name: str
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Outcome:
    """What one succeeded evaluation leaves on its row: the protocol's hash, and its part of the report.

    `host`: the profile of the machine that its times hold for, where it has any.
    """

    protocol: str
    report: Mapping[str, Any]
    host: str = ""


def group_of(track: str) -> tuple[Track, ...]:
    return next(group for group in GROUPS if track in group)


def lease_expired() -> Q:
    return Q(state=State.RUNNING, lease_until__lt=Now())


def claimable() -> Q:
    """What a worker may take: queued and due, or held by a lease that ran out, with attempts left."""
    due = Q(not_before__isnull=True) | Q(not_before__lte=Now())
    return (Q(due, state=State.QUEUED) | lease_expired()) & Q(attempts__lt=settings.MAX_ATTEMPTS)


def claim(evaluation_id: uuid.UUID | str, worker: str) -> Claim | None:
    """Take the evaluation and its group. None: it is over, its attempts are used, or a live lease holds it.

    `worker` names one worker process and no other, since it tells our rows from theirs.
    """
    named = Evaluation.objects.filter(pk=evaluation_id).first()
    if named is None:
        return None
    group = Evaluation.objects.filter(
        submission=named.submission_id, dataset=named.dataset_id, track__in=group_of(named.track)
    )
    with transaction.atomic():
        _lock(group)
        if not group.filter(claimable()).update(**_taken_by(worker)):
            return None
        rows = list(group.filter(state=State.RUNNING, worker=worker, lease_until__gte=Now()))
    return Claim(
        submission_id=named.submission_id,
        dataset_id=named.dataset_id,
        worker=worker,
        attempt=max(row.attempts for row in rows),
        tracks={Track(row.track): row.pk for row in rows},
        fences={row.pk: row.fence for row in rows},
    )


def _taken_by(worker: str) -> dict[str, Any]:
    return {
        "state": State.RUNNING,
        "fence": F("fence") + 1,
        "attempts": F("attempts") + 1,
        "lease_until": _new_lease(),
        "worker": worker,
        "started_at": Now(),
        "publications": 0,
        "stage": "",
        "progress": None,
        "log": "",
    }


def _new_lease() -> Any:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _lock(rows: QuerySet[Evaluation]) -> None:
    """Lock in one order everywhere, or PostgreSQL finds deadlocks between a claim, a commit and a cancel."""
    list(rows.order_by("pk").select_for_update().values_list("pk"))


def _held(claim: Claim) -> Q:
    held = Q(pk__in=[])
    for evaluation_id, fence in claim.fences.items():
        held |= Q(pk=evaluation_id, fence=fence)
    return held & Q(state=State.RUNNING)


def _write(claim: Claim, **values: Any) -> None:
    """Write to the rows of the claim, all or none. Raises LeaseLost where one of them is no longer ours."""
    rows = Evaluation.objects.filter(_held(claim))
    with transaction.atomic():
        _lock(rows)
        if rows.update(**values) != len(claim.fences):
            raise LeaseLost(f"submission {claim.submission_id}: another worker has it, or it was cancelled")


def renew(claim: Claim) -> None:
    """Keep the lease. Raises LeaseLost where it is gone."""
    _write(claim, lease_until=_new_lease())


def record_progress(claim: Claim, stage: str, share: float | None, log: str) -> None:
    """What people watch, and the lease with it. Call it at most once a second. Raises LeaseLost."""
    _write(claim, stage=stage[:40], progress=share, log=log, lease_until=_new_lease())


def release(claim: Claim) -> None:
    """Give the rows back, the attempt not counted; the reconciler sends a hint at once. Raises LeaseLost."""
    _write(claim, **_given_back())


def _given_back() -> dict[str, Any]:
    return {
        "state": State.QUEUED,
        "attempts": F("attempts") - 1,
        "lease_until": None,
        "worker": "",
        "started_at": None,
        "stage": "",
        "progress": None,
        "published_at": None,
        "publications": 0,
    }


def reject(claim: Claim, host: str, reason: str) -> None:
    """The machine was too noisy for this latency session: once more later, or the end after the last.

    The attempt is not counted, since nothing went wrong but the time. Raises LeaseLost.
    """
    [evaluation_id] = claim.fences
    with transaction.atomic():
        row = Evaluation.objects.filter(_held(claim)).select_for_update().first()
        if row is None:
            raise LeaseLost(f"evaluation {evaluation_id}: another worker has it, or it was cancelled")
        session = {
            "at": timezone.now().isoformat(timespec="seconds"),
            "worker": claim.worker,
            "host": host,
            "reason": reason,
        }
        rejections = [*row.rejections, session]
        if len(rejections) < settings.LATENCY_SESSIONS:
            later = Now() + timedelta(seconds=settings.LATENCY_RETRY_SECONDS)
            _write(claim, **_given_back(), rejections=rejections, not_before=later)
        else:
            message = f"{len(rejections)} sessions were rejected, so no time is published. The last: {reason}"
            ended = {"error_code": TOO_NOISY, "error_message": message, **_ended()}
            _write(claim, state=State.FAILED, rejections=rejections, **ended)


def fail(claim: Claim, code: str, message: str) -> None:
    """End the claimed evaluations with an error that the submitter reads. Raises LeaseLost."""
    _write(claim, state=State.FAILED, error_code=code[:60], error_message=message, **_ended())


def succeed(claim: Claim, outcomes: Mapping[uuid.UUID, Outcome]) -> None:
    """End the claimed evaluations with their results, one outcome for each.

    Called first in the transaction that writes the measurements: it locks the rows, and LeaseLost rolls that
    transaction back.
    """
    if outcomes.keys() != claim.fences.keys():
        raise ValueError("succeed needs one outcome for each evaluation of the claim")
    with transaction.atomic():
        _lock(Evaluation.objects.filter(_held(claim)))
        for evaluation_id, outcome in outcomes.items():
            row = Evaluation.objects.filter(
                pk=evaluation_id, fence=claim.fences[evaluation_id], state=State.RUNNING
            )
            left = {"protocol": outcome.protocol, "report": dict(outcome.report), "host": outcome.host}
            done = _ended() | left
            if not row.update(state=State.SUCCEEDED, error_code="", error_message="", **done):
                raise LeaseLost(f"evaluation {evaluation_id}: another worker has it, or it was cancelled")


def _ended() -> dict[str, Any]:
    return {"finished_at": Now(), "lease_until": None, "progress": None, "stage": ""}


def cancel(submission: Submission, actor: User | None) -> int:
    """End what is not over yet; returns the number of rows. A running one's worker notices by itself."""
    rows = Evaluation.objects.filter(submission=submission, state__in=LIVE)
    with transaction.atomic():
        _lock(rows)
        count = rows.update(state=State.CANCELLED, **_ended())
        if count:
            detail = f"{count} evaluation{'s' if count > 1 else ''}"
            AuditEvent.objects.create(submission=submission, actor=actor, action="cancel", detail=detail)
    return count


def fail_exhausted() -> int:
    """End what used its attempts and whose last worker fell silent; returns the number of rows."""
    message = (
        f"The worker stopped answering in each of {settings.MAX_ATTEMPTS} attempts, most likely because its"
        " machine ran out of memory or was switched off. Submit again; if that fails too, tell the operator."
    )
    used_up = Q(attempts__gte=settings.MAX_ATTEMPTS) & (Q(state=State.QUEUED) | lease_expired())
    return Evaluation.objects.filter(used_up).update(
        state=State.FAILED, error_code=WORKER_LOST, error_message=message, **_ended()
    )
