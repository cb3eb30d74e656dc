"""What there is to submit to, and what may be submitted: datasets and kinds."""

from typing import Any, get_args

from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from evaluations.sparsity.sweeps import Curve, Sweep, sweep_of
from evaluations.systems import WEB_KINDS, Kind, Option
from evaluations.systems.base import Members, Takes
from leaderboard.catalog.models import Dataset
from leaderboard.submissions.sweeps import offered, takes

from .schema import errors
from .serializers import DatasetSerializer


class OptionSerializer(serializers.Serializer[Option]):
    """A setting of a kind. A `default` of null may stay unset; bounds are inclusive."""

    name = serializers.CharField()
    type = serializers.ChoiceField(choices=["int", "float", "str", "bool"])
    default = serializers.JSONField(allow_null=True)
    help = serializers.CharField()
    choices = serializers.ListField(child=serializers.CharField())
    minimum = serializers.FloatField(allow_null=True)
    maximum = serializers.FloatField(allow_null=True)


class MembersSerializer(serializers.Serializer[Members]):
    """How many other systems it is made of, and of which kinds; a `maximum` of 0: of none."""

    minimum = serializers.IntegerField()
    maximum = serializers.IntegerField()
    kinds = serializers.ListField(child=serializers.CharField())


class VariantSerializer(serializers.Serializer[Any]):
    """A curve of a sweep: `name` as it is asked for, its default values, and in words what it takes."""

    name = serializers.CharField()
    title = serializers.CharField(source="variant.title")
    help = serializers.CharField(source="variant.help")
    values = serializers.ListField(child=serializers.CharField())
    takes = serializers.SerializerMethodField()
    is_baseline = serializers.BooleanField(source="variant.is_baseline")

    def get_takes(self, curve: Curve) -> str:
        return takes(curve)


class SweepSerializer(serializers.Serializer[Any]):
    """What may be varied of a system of this kind; `encodes_again`: each point costs another encoding."""

    name = serializers.CharField()
    title = serializers.CharField()
    help = serializers.CharField()
    axis = serializers.CharField()
    unit = serializers.CharField()
    encodes_again = serializers.BooleanField()
    curves = serializers.SerializerMethodField()

    @extend_schema_field(VariantSerializer(many=True))
    def get_curves(self, sweep: Sweep) -> list[dict[str, Any]]:
        curves = [Curve(sweep, variant, variant.values.default) for variant in sweep.variants]
        return list(VariantSerializer(curves, many=True).data)


class KindSerializer(serializers.Serializer[Kind]):
    """`takes`: `nothing`, a `model` of the hub as `location` or as an `archive`, a run `file` for each
    dataset, an archive of a `folder`, or, if one is given, a model as `location` whose `vocabulary` is taken.
    """

    name = serializers.CharField()
    title = serializers.CharField()
    family = serializers.CharField()
    help = serializers.CharField()
    takes = serializers.ChoiceField(choices=list(get_args(Takes)))
    needs_corpus = serializers.BooleanField()
    tracks = serializers.ListField(child=serializers.CharField())
    options = OptionSerializer(many=True)
    members = MembersSerializer()
    sweeps = serializers.SerializerMethodField()

    @extend_schema_field(SweepSerializer(many=True))
    def get_sweeps(self, kind: Kind) -> list[dict[str, Any]]:
        found = dict.fromkeys(curve.sweep.name for curve in offered(kind))
        return list(SweepSerializer([sweep_of(name) for name in found], many=True).data)


@extend_schema_view(get=extend_schema(responses={200: DatasetSerializer(many=True), **errors(404)}))
class Datasets(ListAPIView[Dataset]):
    """Every dataset of the catalogue, with the checksums and protocol that make numbers comparable."""

    queryset = Dataset.objects.prefetch_related("benchmarks").order_by("name", "-created_at", "id")
    serializer_class = DatasetSerializer


class Kinds(GenericAPIView[Any]):
    """Every kind of system with its options: what a client needs to build its own form."""

    serializer_class = KindSerializer
    filter_backends = ()

    @extend_schema(operation_id="kinds_list", responses={200: KindSerializer(many=True), **errors(404)})
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(list(WEB_KINDS.values()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
