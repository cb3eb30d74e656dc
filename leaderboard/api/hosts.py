"""The machines that measure, as their pages show them."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.hosts import queries
from leaderboard.hosts.models import BaselineCheck, Calibration, HostProfile, Worker

from .schema import errors

PROFILE = OpenApiParameter(
    "profile", OpenApiTypes.STR, OpenApiParameter.PATH, pattern="^[0-9a-f]{12}$", description="A host's hash."
)


class HostSerializer(serializers.ModelSerializer[HostProfile]):
    """`facts` are what `hash` covers. Times are comparable within one hash only."""

    title = serializers.CharField()
    workers_alive = serializers.IntegerField()
    workers_quarantined = serializers.IntegerField()
    seen_at = serializers.DateTimeField(allow_null=True)

    class Meta:
        model = HostProfile
        fields = ["hash", "title", "facts", "workers_alive", "workers_quarantined", "seen_at", "created_at"]


class WorkerSerializer(serializers.ModelSerializer[Worker]):
    class Meta:
        model = Worker
        fields = ["name", "queues", "versions", "status", "reason", "started_at", "seen_at"]


class BaselineCheckSerializer(serializers.ModelSerializer[BaselineCheck]):
    class Meta:
        model = BaselineCheck
        fields = [
            *("system", "metric", "expected", "tolerance", "measured", "outcome", "message"),
            *("device", "checked_at"),
        ]


class CalibrationSerializer(serializers.ModelSerializer[Calibration]):
    class Meta:
        model = Calibration
        fields = ["times_ms", "versions", "jumps", "rejected", "is_retired", "measured_at"]


class HostDetailSerializer(serializers.Serializer[Any]):
    """`baseline_ms`: what a session's references are held against, by reference.

    `calibrations`: those that it is made of, newest first; `rejected`: how many were not good enough.
    """

    hash = serializers.CharField()
    title = serializers.CharField()
    facts = serializers.JSONField()
    workers = WorkerSerializer(many=True)
    checks = BaselineCheckSerializer(many=True)
    calibrations = CalibrationSerializer(many=True)
    rejected = serializers.IntegerField()
    last_rejected = CalibrationSerializer(allow_null=True)
    baseline_ms = serializers.DictField(child=serializers.FloatField())


@extend_schema_view(get=extend_schema(responses={200: HostSerializer(many=True), **errors(404)}))
class Hosts(ListAPIView[HostProfile]):
    """Every machine that ever measured here."""

    queryset = queries.hosts()
    serializer_class = HostSerializer


class HostDetail(GenericAPIView[Any]):
    serializer_class = HostDetailSerializer

    @extend_schema(
        operation_id="hosts_read",
        parameters=[PROFILE],
        responses={200: HostDetailSerializer, **errors(404)},
        filters=False,
    )
    def get(self, request: Request, profile: str) -> Response:
        """One machine: its facts, workers, reproduced scores and calibrations."""
        try:
            found = queries.host(profile)
        except HostProfile.DoesNotExist as error:
            raise NotFound("There is no such host.") from error
        facts = {name: getattr(found.profile, name) for name in ("hash", "title", "facts")}
        names = ("workers", "checks", "calibrations", "rejected", "last_rejected", "baseline_ms")
        rows = {name: getattr(found, name) for name in names}
        rows["calibrations"] = found.calibrations[: queries.SHOWN_CALIBRATIONS]
        return Response(self.get_serializer({**facts, **rows}).data)
