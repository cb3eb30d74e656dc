"""The machines that measure: what they are, which workers run on them, and whether these may be trusted."""

import uuid

from django.db import models


class HostProfile(models.Model):
    """A machine's fingerprint: times are ranked within one. The facts are those that the hash covers."""

    hash = models.CharField(max_length=12, primary_key=True)
    facts = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "hash"]

    def __str__(self) -> str:
        return f"{self.title} ({self.hash})"

    @property
    def title(self) -> str:
        """What a person calls such a machine: its processor, its cores, its card."""
        facts = self.facts
        cores = f", {facts['cores']} cores" if facts.get("cores") else ""
        card = f", {facts['gpu']}" if facts.get("gpu") else ""
        return f"{facts.get('cpu') or 'unknown processor'}{cores}{card}"


class Worker(models.Model):
    """One worker process from its start to its end. `name` is what its evaluations are held under."""

    class Status(models.TextChoices):
        STARTING = "starting"
        ACTIVE = "active"
        QUARANTINED = "quarantined"
        STOPPED = "stopped"

    name = models.CharField(max_length=200, unique=True)
    profile = models.ForeignKey(HostProfile, on_delete=models.PROTECT, related_name="workers")
    queues = models.CharField(max_length=200)
    versions = models.JSONField(default=dict, help_text="Python and what can move a number.")
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.STARTING)
    reason = models.TextField(blank=True, help_text="Why it is quarantined.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-started_at", "name"]

    def __str__(self) -> str:
        return self.name


class BaselineCheck(models.Model):
    """A stored score reproduced, or not, before a worker's results count."""

    class Outcome(models.TextChoices):
        PASSED = "passed"
        FAILED = "failed"
        UNKNOWN = "unknown"  # the reference's model cannot be had on that machine

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    profile = models.ForeignKey(HostProfile, on_delete=models.CASCADE, related_name="checks")
    software = models.CharField(max_length=12, help_text="Hash of the versions that it holds for.")
    device = models.CharField(max_length=4)
    system = models.CharField(max_length=80)
    metric = models.CharField(max_length=60)
    expected = models.FloatField()
    tolerance = models.FloatField()
    measured = models.FloatField(null=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    message = models.TextField(blank=True)
    checked_at = models.DateTimeField()

    class Meta:
        ordering = ["-checked_at", "system"]
        indexes = [
            models.Index(fields=["profile", "software", "device", "-checked_at"], name="baseline_last")
        ]

    def __str__(self) -> str:
        return f"{self.system}: {self.outcome}"


class Calibration(models.Model):
    """What the references took on a quiet machine. Sessions are held against the median of those accepted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    profile = models.ForeignKey(HostProfile, on_delete=models.CASCADE, related_name="calibrations")
    times_ms = models.JSONField(
        default=dict, help_text="Reference, device, threads, precision and statistic to milliseconds."
    )
    versions = models.JSONField(
        default=dict, help_text="Of what decides the times: it counts where all of these are in use."
    )
    jumps = models.JSONField(
        default=dict, help_text="Times far from the median so far: that median, milliseconds."
    )
    rejected = models.TextField(blank=True, help_text="Why it does not count; empty: it counts.")
    is_retired = models.BooleanField(
        default=False, help_text="Counts no more: the machine changed, and its profile does not tell."
    )
    measured_at = models.DateTimeField()

    class Meta:
        ordering = ["-measured_at"]
        indexes = [models.Index(fields=["profile", "-measured_at"], name="calibration_last")]

    def __str__(self) -> str:
        return f"{self.profile_id} {self.measured_at:%Y-%m-%d %H:%M}"
