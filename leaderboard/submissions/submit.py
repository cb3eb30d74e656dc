"""Submitting: what page, REST and command line call. `validate` first, then `create`."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from statistics import median

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from leaderboard.accounts.models import User
from leaderboard.catalog.models import Revision, RevisionMember, System
from leaderboard.submissions import checkpoints, outbox, queries, sweeps, uploads
from leaderboard.submissions.models import AuditEvent, Evaluation, State, Submission
from leaderboard.submissions.refusals import WHOLE_REQUEST, IdempotencyConflict, Refused
from leaderboard.submissions.uploads import StoredFiles
from leaderboard.submissions.validation import SubmissionRequest, ValidatedSubmission, validate

__all__ = [
    "IdempotencyConflict",
    "Refused",
    "SubmissionRequest",
    "ValidatedSubmission",
    "create",
    "rerun",
    "validate",
]

MAX_KEY_CHARACTERS = 80
# Times of the last evaluations are a better guess than those of a year ago on another machine.
TIMES_CONSIDERED = 500

IS = {State.QUEUED: "waits in the queue", State.RUNNING: "is running", State.SUCCEEDED: "has succeeded"}

Cell = tuple[uuid.UUID, str]  # dataset, track


def create(owner: User, validated: ValidatedSubmission, *, idempotency_key: str | None = None) -> Submission:
    """Store and queue a submission; the same key with the same request returns the one that is there.

    Raises Refused: over the day's quota, a name that is taken, the same thing on the board or on its way;
    IdempotencyConflict where the key came with another request.
    """
    key = _checked_key(idempotency_key)
    with uploads.stored(validated.plan.files) as files, transaction.atomic():
        _lock(owner)
        earlier = _earlier(owner, key, validated.request_hash)
        return earlier or _create(owner, validated, key, files)


def rerun(submission: Submission, actor: User) -> Submission:
    """A new submission of the same revision, owned as the first one. For its owner and the staff.

    Raises PermissionDenied; Refused while the revision is still on its way, or over the day's quota.
    """
    if not queries.may_manage(actor, submission):
        raise PermissionDenied
    owner = submission.owner
    with transaction.atomic():
        _lock(owner)
        same = Submission.objects.filter(
            owner=owner, revision=submission.revision, benchmark=submission.benchmark
        )
        for other in queries.with_states(same):
            if other.state in (State.QUEUED, State.RUNNING):
                raise Refused(
                    {WHOLE_REQUEST: ["It is still on its way; wait, or cancel it first."]}, existing=other
                )
        if not actor.is_staff:
            _check_quota(owner)
        again = Submission.objects.create(
            owner=owner,
            revision=submission.revision,
            benchmark=submission.benchmark,
            device=submission.device,
            note=submission.note,
            sweeps=submission.sweeps,
            rerun_of=submission,
        )
        checkpoints.keep(again)
        cells = list(submission.evaluations.values_list("dataset", "track"))
        _queue(again, cells, actor=actor, action="rerun")
    return again


def _create(owner: User, validated: ValidatedSubmission, key: str | None, files: StoredFiles) -> Submission:
    _check_quota(owner)
    _check_duplicate(owner, validated)
    revision = _revision(_system(owner, validated), validated, files)
    submission = Submission.objects.create(
        owner=owner,
        revision=revision,
        benchmark=validated.benchmark,
        device=validated.device,
        note=validated.texts["note"],
        sweeps=list(validated.sweeps),
        idempotency_key=key,
        request_hash=validated.request_hash,
    )
    checkpoints.keep(submission)
    cells = [(dataset.pk, track.value) for dataset, track in validated.cells]
    _queue(submission, cells, actor=owner, action="submit")
    return submission


def _checked_key(key: str | None) -> str | None:
    if key and (len(key) > MAX_KEY_CHARACTERS or not key.isascii() or not key.isprintable()):
        problem = f"The idempotency key must be at most {MAX_KEY_CHARACTERS} printable ASCII characters."
        raise Refused({"idempotency_key": [problem]})
    return key or None


def _lock(owner: User) -> None:
    """One person's submissions are stored one by one: quota, names and keys are read, then written."""
    User.objects.select_for_update().get(pk=owner.pk)


def _earlier(owner: User, key: str | None, request_hash: str) -> Submission | None:
    earlier = Submission.objects.filter(owner=owner, idempotency_key=key).first() if key else None
    if earlier and earlier.request_hash != request_hash:
        problem = "This idempotency key came before with another request; use a new key for a new request."
        raise IdempotencyConflict({"idempotency_key": [problem]}, existing=earlier)
    return earlier


def _check_quota(owner: User) -> None:
    today = Submission.objects.filter(owner=owner, created_at__gt=timezone.now() - timedelta(days=1)).count()
    if today >= settings.SUBMISSIONS_PER_DAY:
        problem = (
            f"You sent {today} submissions in the last 24 hours, which is the limit; try again tomorrow."
        )
        raise Refused({WHOLE_REQUEST: [problem]})


def _check_duplicate(owner: User, validated: ValidatedSubmission) -> None:
    same = Submission.objects.filter(
        owner=owner, benchmark=validated.benchmark, revision__content_hash=validated.plan.content_hash
    )
    for other in queries.with_states(same):
        if other.state in (State.QUEUED, State.RUNNING, State.SUCCEEDED) and _covers(other, validated):
            problem = f"You submitted exactly this before; that submission {IS[other.state]}."
            raise Refused({WHOLE_REQUEST: [f"{problem} Run it again to repeat it."]}, existing=other)


def _covers(earlier: Submission, validated: ValidatedSubmission) -> bool:
    """Whether it measures all the tracks and all the operating points that are asked for now."""
    measured = set(earlier.evaluations.values_list("track", flat=True))
    has_tracks = measured.issuperset(track.value for _, track in validated.cells)
    return has_tracks and set(earlier.sweeps).issuperset(validated.sweeps)


def _system(owner: User, validated: ValidatedSubmission) -> System:
    """The owner's system of this name; what is said about it now goes before what was said then."""
    written = dict(validated.texts)
    del written["note"]
    name, kind = written.pop("name"), validated.plan.kind
    system, created = System.objects.get_or_create(
        owner=owner, name=name, defaults={**written, "family": kind.family}
    )
    if created:
        return system
    other = system.revisions.exclude(kind=kind.name).first()
    if other:
        problem = f"Your system {name} is of kind {other.kind}; choose another name for this one."
        raise Refused({"name": [problem]})
    changed = {field: text for field, text in written.items() if text}
    if changed:
        System.objects.filter(pk=system.pk).update(**changed)
    return system


def _revision(system: System, validated: ValidatedSubmission, files: StoredFiles) -> Revision:
    """The system's revision of this content; a new one takes over the stored files."""
    plan = validated.plan
    revision, created = Revision.objects.get_or_create(
        system=system,
        content_hash=plan.content_hash,
        defaults={
            "kind": plan.kind.name,
            "location": plan.location,
            "version": plan.version,
            "options": dict(plan.options),
            "files": dict(plan.hashes),
            "members": [member.to_json() for member in plan.members],
        },
    )
    if created:
        files.give_to(revision)
        RevisionMember.objects.bulk_create(
            RevisionMember(revision=revision, member_id=member)
            for member in dict.fromkeys(part.revision for part in plan.members if part.revision)
        )
    return revision


def _queue(submission: Submission, cells: Sequence[Cell], *, actor: User, action: str) -> None:
    """The evaluations and the audit row; the hint goes out once all of it is committed."""
    expected = _expected_seconds(submission)
    Evaluation.objects.bulk_create(
        Evaluation(
            submission=submission,
            dataset_id=dataset,
            track=track,
            expected_seconds=expected.get((dataset, track)),
        )
        for dataset, track in cells
    )
    AuditEvent.objects.create(submission=submission, actor=actor, action=action)
    transaction.on_commit(lambda: outbox.publish_submission(submission.pk), robust=True)


def _expected_seconds(submission: Submission) -> dict[Cell, float]:
    """For each dataset and track, the median of what earlier evaluations of this kind took on this device.

    Each by its workload: operating points that encode again take as long as a plain evaluation.
    """
    kind = submission.revision.kind
    done = Evaluation.objects.filter(
        state=State.SUCCEEDED,
        submission__revision__kind=kind,
        submission__device=submission.device,
        dataset__benchmarks=submission.benchmark,
    ).order_by("-finished_at")
    times: dict[Cell, list[float]] = {}
    rows = done.values_list("dataset", "track", "started_at", "finished_at", "submission__sweeps")
    for dataset, track, start, end, asked in rows[:TIMES_CONSIDERED]:
        if start is None or end is None:
            continue
        seconds = (end - start).total_seconds() / sweeps.workload(kind, asked)
        times.setdefault((dataset, track), []).append(seconds)
    own = sweeps.workload(kind, submission.sweeps)
    return {cell: own * median(seconds) for cell, seconds in times.items()}
