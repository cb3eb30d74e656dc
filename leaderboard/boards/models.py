"""Results as pages read them: measurements, and one entry a row of a leaderboard."""

from django.db import models

from leaderboard.catalog.models import Benchmark, Revision
from leaderboard.submissions.models import Evaluation, Submission


class Measurement(models.Model):
    """One metric of one evaluation, unrounded; `value` is null where it does not apply, with the reason."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="measurements")
    metric = models.CharField(max_length=60)
    value = models.FloatField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    low = models.FloatField(null=True, help_text="Lower end of the 95 % interval, where there is one.")
    high = models.FloatField(null=True)
    protocol = models.CharField(max_length=12)

    class Meta:
        ordering = ["metric"]
        constraints = [models.UniqueConstraint("evaluation", "metric", name="one_value_per_metric")]

    def __str__(self) -> str:
        return f"{self.metric} = {self.value}"


class OperatingPoint(models.Model):
    """One point of one curve of a sparsity evaluation. A gap has its reason, and neither axis nor metrics.

    `curve`: as it was asked for, without values, such as `weights:random`. `metrics`: name to number, or null
    where one does not apply. What a curve's knee and drop are, the evaluation's report says.

    Of a latency evaluation: the same point's times, on the evaluation's host; `reason`: why it has none.
    `untimed`: the same of a point that was joined with its times (points.py), and nothing that is stored.
    """

    untimed = ""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="operating_points")
    sweep = models.CharField(max_length=40)
    variant = models.CharField(max_length=40)
    curve = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField(help_text="In the report: curve by curve, point by point.")
    value = models.CharField(max_length=300, blank=True, help_text="Empty for the unmodified system.")
    is_unmodified = models.BooleanField(default=False)
    axis = models.FloatField(null=True)
    level = models.FloatField(null=True)
    metrics = models.JSONField(default=dict)
    code = models.CharField(max_length=60, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    seconds = models.FloatField(default=0)

    class Meta:
        ordering = ["evaluation", "position"]
        constraints = [models.UniqueConstraint("evaluation", "position", name="point_position_once")]

    def __str__(self) -> str:
        return f"{self.curve}={self.value or 'unmodified'}"


class Entry(models.Model):
    """The row of a leaderboard: kept up to date when measurements land, so that pages never aggregate.

    `cells`: column name (a dataset, or a group of them) to the primary metric.
    `metrics`: metric name to its mean over the benchmark, only where every column has it; `reasons`: to why
    it has none, where that is in the results. `conditions`: facts of the latency sessions, see
    `conditions.py`; null in rows from before they were kept. Times are ranked among equal `times_key`s,
    matched ratios among equal `ratio_key`s; an empty one means that there is nothing to rank.
    """

    submission = models.OneToOneField(Submission, on_delete=models.CASCADE, related_name="entry")
    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE, related_name="entries")
    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="entries")
    average = models.FloatField(
        null=True, help_text="Null until every dataset is done: a partial mean does not exist."
    )
    cells = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    host = models.CharField(
        max_length=12, blank=True, help_text="The one host profile that all its times hold for; empty: none."
    )
    reasons = models.JSONField(default=dict)
    conditions = models.JSONField(null=True)
    times_key = models.CharField(max_length=12, blank=True)
    ratio_key = models.CharField(max_length=12, blank=True)
    is_current = models.BooleanField(
        default=True, help_text="Of several submissions of one revision, one is shown."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "entries"
        ordering = ["-average"]
        indexes = [models.Index(fields=["benchmark", "is_current", "-average"], name="entry_board")]

    def __str__(self) -> str:
        return f"{self.benchmark.name}: {self.revision}"
