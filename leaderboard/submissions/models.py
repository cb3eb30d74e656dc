"""A request to evaluate, its evaluations, and what became of them. Transitions live in lifecycle.py."""

import uuid

from django.conf import settings
from django.db import models

from leaderboard.catalog.models import Benchmark, Dataset, Revision


class Track(models.TextChoices):
    RETRIEVAL = "retrieval"
    SPARSITY = "sparsity"
    LATENCY = "latency"


class State(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class Submission(models.Model):
    """One person's request to evaluate one revision on one benchmark."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="submissions")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="submissions")
    benchmark = models.ForeignKey(Benchmark, on_delete=models.PROTECT, related_name="submissions")
    device = models.CharField(max_length=4, choices=[("cpu", "CPU"), ("gpu", "GPU")], default="cpu")
    note = models.CharField(max_length=300, blank=True)
    sweeps = models.JSONField(
        default=list, blank=True, help_text="Curves of operating points, each as --sweep takes it."
    )
    rerun_of = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="reruns"
    )
    idempotency_key = models.CharField(max_length=80, null=True, blank=True, editable=False)
    request_hash = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint("owner", "idempotency_key", name="idempotency_key_once_per_owner")
        ]

    def __str__(self) -> str:
        return f"{self.revision.system.name} on {self.benchmark.name}"

    @property
    def state(self) -> State:
        """The submission's state, derived from its evaluations' (prefetch them for lists)."""
        return overall_state([State(evaluation.state) for evaluation in self.evaluations.all()])


class SubmissionCheckpoint(models.Model):
    """Keeps a submission, and with it its revision and files, as long as a sweep of another averages it."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="checkpoints")
    checkpoint = models.ForeignKey(Submission, on_delete=models.PROTECT, related_name="checkpoint_of")

    class Meta:
        constraints = [models.UniqueConstraint("submission", "checkpoint", name="submission_checkpoint_once")]

    def __str__(self) -> str:
        return f"{self.checkpoint} in {self.submission}"


def overall_state(states: list[State]) -> State:
    """Running beats queued beats failed beats cancelled; succeeded only where every evaluation is."""
    for state in (State.RUNNING, State.QUEUED, State.FAILED, State.CANCELLED):
        if state in states:
            return state
    return State.SUCCEEDED


class Evaluation(models.Model):
    """One (submission, dataset, track): the unit of retry and of result. Its own outbox and its own lock."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="evaluations")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="evaluations")
    track = models.CharField(max_length=10, choices=Track.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    # The lock: who holds it writes `fence` with everything it writes.
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    # A latency session on a noisy machine publishes nothing and is tried again, not before this time.
    not_before = models.DateTimeField(null=True, blank=True)
    rejections = models.JSONField(
        default=list, blank=True, help_text="Sessions that failed a gate: at, worker, host, reason."
    )
    # The outbox: when a hint for this row last went to the broker, and how often.
    published_at = models.DateTimeField(null=True, blank=True)
    publications = models.PositiveIntegerField(default=0)
    # What people watch.
    stage = models.CharField(max_length=40, blank=True)
    progress = models.FloatField(null=True, blank=True, help_text="Share of the stage done, 0 to 1.")
    log = models.TextField(blank=True, help_text="The last lines only.")
    expected_seconds = models.FloatField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # What came of it.
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    protocol = models.CharField(max_length=12, blank=True)
    host = models.CharField(
        max_length=12, blank=True, help_text="Of a latency session: the profile of the machine it holds for."
    )
    report = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint("submission", "dataset", "track", name="one_evaluation_per_cell")
        ]
        indexes = [
            models.Index(fields=["state", "lease_until"], name="evaluation_claim"),
            models.Index(fields=["state", "created_at"], name="evaluation_queue"),
        ]

    def __str__(self) -> str:
        return f"{self.submission_id}/{self.dataset}/{self.track}"

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL


class Artefact(models.Model):
    """A file an evaluation left: report, run, per-query values."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="artefacts")
    name = models.CharField(max_length=80)
    file = models.FileField(max_length=300)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("evaluation", "name", name="artefact_name_once")]

    def __str__(self) -> str:
        return self.name


class AuditEvent(models.Model):
    """Who did what to which submission, and when. Written in the transaction of the deed; never changed."""

    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="events")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    action = models.CharField(max_length=40)
    detail = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M} {self.action}"
