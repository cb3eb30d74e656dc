"""What REST answers with, field by field. Values are unrounded; rounding is for pages."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from leaderboard.boards.models import OperatingPoint
from leaderboard.boards.points import Curve
from leaderboard.boards.queries import Summary
from leaderboard.boards.rows import Row
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import BenchmarkDataset, Dataset, Revision, System, board_protocol
from leaderboard.submissions.models import Artefact, State, Submission, Track
from leaderboard.submissions.queries import EvaluationStatus, Rejection, SubmissionStatus


class ErrorsSerializer(serializers.Serializer[Any]):
    """Messages by field; `__all__` is the request as a whole."""

    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField())
    )


class ChecksumsSerializer(serializers.Serializer[Any]):
    """SHA-256 of the content; that of the corpus is empty where there is none."""

    corpus = serializers.CharField(source="corpus_checksum")
    queries = serializers.CharField(source="queries_checksum")
    qrels = serializers.CharField(source="qrels_checksum")


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    has_corpus = serializers.BooleanField()
    checksums = ChecksumsSerializer(source="*")
    warnings = serializers.ListField(child=serializers.CharField())
    benchmarks: Any = serializers.SlugRelatedField("name", many=True, read_only=True)

    class Meta:
        model = Dataset
        fields = (
            *(
                "id",
                "name",
                "split",
                "documents",
                "queries",
                "judgements",
                "has_corpus",
                "self_hits",
                "licence",
            ),
            *("protocol", "checksums", "warnings", "benchmarks", "created_at"),
        )


class BoardSerializer(serializers.Serializer[Summary]):
    """One board. `datasets`: its columns in order. `systems`: how many have an average on it."""

    name = serializers.CharField(source="benchmark.name")
    title = serializers.CharField(source="benchmark.title")
    description = serializers.CharField(source="benchmark.description")
    protocol = serializers.SerializerMethodField()
    datasets = serializers.SerializerMethodField()
    systems = serializers.IntegerField()

    def get_protocol(self, summary: Summary) -> str:
        return board_protocol(self._members(summary))

    def get_datasets(self, summary: Summary) -> list[str]:
        columns = (member.group or member.dataset.name for member in self._members(summary))
        return list(dict.fromkeys(columns))

    def _members(self, summary: Summary) -> Sequence[BenchmarkDataset]:
        return list(summary.benchmark.benchmarkdataset_set.all())


class RowSerializer(serializers.Serializer[Row]):
    """A row of a leaderboard. `submission` is its id, to ask for more; `rank` is that on the whole board.

    `host` is the profile of the machine that timed it, `conditions` the facts of its sessions, and `times`
    their key; empty where its sessions differ. Times are among `metrics` only where that key is the one
    shown, and the ratio to matched references only where all but the host is equal. `missing` says why of
    each metric that was measured and is not among `metrics`, `untimed` why a dataset has no times.
    """

    rank = serializers.IntegerField(allow_null=True)
    system = serializers.CharField()
    revision = serializers.CharField()
    submission = serializers.UUIDField(source="submission_id")
    average = serializers.FloatField(allow_null=True)
    datasets = serializers.DictField(source="cells", child=serializers.FloatField(allow_null=True))
    metrics = serializers.DictField(child=serializers.FloatField())
    host = serializers.CharField()
    times = serializers.CharField()
    conditions = serializers.DictField()
    missing = serializers.DictField(child=serializers.CharField())
    untimed = serializers.CharField()


class SystemSerializer(serializers.ModelSerializer[System]):
    class Meta:
        model = System
        fields = ("id", "name", "family", "organisation", "licence", "url", "description", "training_data")


class PartSerializer(serializers.Serializer[Part]):
    """One of the systems that another is made of, as it was when that was submitted.

    `revision` and `system`: ids of what it came from; null where it was named by its kind.
    """

    name = serializers.CharField()
    kind = serializers.CharField()
    location = serializers.CharField()
    version = serializers.CharField()
    options = serializers.DictField()
    revision = serializers.UUIDField(allow_null=True)
    system = serializers.UUIDField(allow_null=True)


class RevisionSerializer(serializers.ModelSerializer[Revision]):
    """What was run: `version` is the hub's commit, or a hash of the files. `members`: what it is made of."""

    options = serializers.DictField()
    members = PartSerializer(source="made_of", many=True)

    class Meta:
        model = Revision
        fields = ("id", "kind", "location", "version", "options", "members")


class ArtefactSerializer(serializers.ModelSerializer[Artefact]):
    url = serializers.SerializerMethodField()

    class Meta:
        model = Artefact
        fields = ("name", "url", "sha256", "size_bytes")

    def get_url(self, artefact: Artefact) -> str:
        return reverse("artefact", args=[artefact.evaluation_id, artefact.name])


class EvaluationErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class RejectionSerializer(serializers.Serializer[Rejection]):
    """A latency session on a machine that was too noisy; `host` is the profile's hash."""

    at = serializers.DateTimeField()
    host = serializers.CharField()
    reason = serializers.CharField()


class EvaluationSerializer(serializers.Serializer[EvaluationStatus]):
    """`queue_position`: how many wait before it; null unless it is queued. `log`: for its owner only."""

    id = serializers.UUIDField()
    dataset = serializers.CharField()
    track = serializers.ChoiceField(choices=Track.choices)
    state = serializers.ChoiceField(choices=State.choices)
    stage = serializers.CharField()
    progress = serializers.FloatField(allow_null=True)
    queue_position = serializers.IntegerField(allow_null=True)
    elapsed_seconds = serializers.FloatField(allow_null=True)
    expected_seconds = serializers.FloatField(allow_null=True)
    attempts = serializers.IntegerField()
    error = serializers.SerializerMethodField()
    log = serializers.CharField(source="log_tail")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    not_before = serializers.DateTimeField(allow_null=True)
    rejections = RejectionSerializer(many=True)
    artefacts = serializers.SerializerMethodField()

    @extend_schema_field(EvaluationErrorSerializer(allow_null=True))
    def get_error(self, evaluation: EvaluationStatus) -> dict[str, str] | None:
        if not evaluation.error_code:
            return None
        return {"code": evaluation.error_code, "message": evaluation.error_message}

    @extend_schema_field(ArtefactSerializer(many=True))
    def get_artefacts(self, evaluation: EvaluationStatus) -> list[dict[str, Any]]:
        return list(ArtefactSerializer(self.context["artefacts"].get(evaluation.id, []), many=True).data)


class SubmissionListSerializer(serializers.ModelSerializer[Submission]):
    """A line of the list of one's own submissions."""

    state = serializers.ChoiceField(choices=State.choices)
    benchmark = serializers.CharField(source="benchmark.name")
    system = serializers.CharField(source="revision.system.name")
    revision = serializers.CharField(source="revision.short")

    class Meta:
        model = Submission
        fields = ("id", "state", "benchmark", "system", "revision", "device", "created_at")


class SubmissionSerializer(serializers.Serializer[SubmissionStatus]):
    """A submission as its page shows it."""

    id = serializers.UUIDField(source="submission.id")
    state = serializers.ChoiceField(choices=State.choices)
    benchmark = serializers.CharField(source="submission.benchmark.name")
    owner = serializers.CharField(source="submission.owner.username")
    device = serializers.CharField(source="submission.device")
    note = serializers.CharField(source="submission.note")
    sweeps = serializers.ListField(source="submission.sweeps", child=serializers.CharField())
    rerun_of = serializers.UUIDField(source="submission.rerun_of_id", allow_null=True)
    created_at = serializers.DateTimeField(source="submission.created_at")
    system = SystemSerializer(source="submission.revision.system")
    revision = RevisionSerializer(source="submission.revision")
    evaluations = EvaluationSerializer(many=True)


class OperatingPointSerializer(serializers.ModelSerializer[OperatingPoint]):
    """A point. A gap has its `code` and `reason`, and neither `axis` nor metrics; `value` is null for the
    unmodified system. `untimed` says why its times are null, where they were asked for."""

    value = serializers.SerializerMethodField(method_name="asked_value")
    metrics = serializers.DictField(child=serializers.FloatField(allow_null=True))
    untimed = serializers.CharField()

    class Meta:
        model = OperatingPoint
        fields = (
            *("value", "is_unmodified", "axis", "level", "metrics", "code", "reason", "seconds"),
            "untimed",
        )

    @extend_schema_field(serializers.CharField(allow_null=True))
    def asked_value(self, point: OperatingPoint) -> str | None:
        return None if point.is_unmodified else point.value


class CurveSerializer(serializers.Serializer[Curve]):
    """A curve: what was asked for, its points from the least sparse on, knee and drop with their rules."""

    sweep = serializers.CharField(source="sweep.name")
    variant = serializers.CharField(source="variant.name")
    is_baseline = serializers.BooleanField(source="variant.is_baseline")
    axis = serializers.CharField(source="sweep.axis")
    unit = serializers.CharField(source="sweep.unit")
    knee = serializers.SerializerMethodField()
    drop = serializers.SerializerMethodField()
    rules = serializers.DictField(child=serializers.CharField())
    points = OperatingPointSerializer(many=True)

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_knee(self, curve: Curve) -> Any:
        return curve.report.get("knee")

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_drop(self, curve: Curve) -> Any:
        return curve.report.get("drop")


class DatasetCurvesSerializer(serializers.Serializer[Any]):
    """All curves of one dataset. `host`: the profile that all their times hold for; null where none has."""

    dataset = serializers.CharField()
    evaluation = serializers.UUIDField()
    host = serializers.CharField(allow_null=True)
    curves = CurveSerializer(many=True)


class SubmittedSerializer(SubmissionSerializer):
    """A submission as it was taken. `warnings`: what does not stand in the way but should be known."""

    warnings = serializers.ListField(child=serializers.CharField())
