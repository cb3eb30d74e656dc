"""Leaderboards over REST: the rows that the page shows, by the same query and the same filters."""

from typing import Any

from django.db.models import Prefetch, prefetch_related_objects
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.boards import queries
from leaderboard.boards.filters import EntryFilter
from leaderboard.boards.metrics import METRICS
from leaderboard.boards.models import Entry
from leaderboard.boards.rows import DEFAULT_ORDER, Row, metric_names, sort
from leaderboard.boards.times import choices, chosen
from leaderboard.catalog.models import Benchmark, BenchmarkDataset

from .pagination import BoardPages
from .schema import errors
from .serializers import BoardSerializer, RowSerializer

ORDERING = OpenApiParameter(
    "ordering",
    str,
    description="`rank`, `system`, `average`, a dataset or a metric; with `-` before it, descending.",
)

HOST = OpenApiParameter(
    "host",
    str,
    description="The host profile whose times are shown; the one that timed most rows where it names none.",
)

TIMES = OpenApiParameter(
    "times",
    str,
    description="As `host`, by a row's `times`: the key of the conditions whose times are shown.",
)


class Leaderboards(GenericAPIView[Any]):
    serializer_class = BoardSerializer
    filter_backends = ()

    @extend_schema(
        operation_id="leaderboards_list", responses={200: BoardSerializer(many=True), **errors(404)}
    )
    def get(self, request: Request) -> Response:
        """Every board with its datasets and its protocol."""
        page: list[queries.Summary] = self.paginate_queryset(queries.summaries()) or []
        members = BenchmarkDataset.objects.select_related("dataset").order_by("position")
        prefetch_related_objects(
            [summary.benchmark for summary in page], Prefetch("benchmarkdataset_set", queryset=members)
        )
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class Leaderboard(GenericAPIView[Any]):
    serializer_class = RowSerializer
    queryset = Entry.objects.none()  # for the schema: it tells the filters' model
    filterset_class = EntryFilter
    pagination_class = BoardPages
    paginator: BoardPages

    @extend_schema(
        operation_id="leaderboards_read",
        parameters=[ORDERING, HOST, TIMES],
        responses={200: RowSerializer(many=True), **errors(400, 404)},
    )
    def get(self, request: Request, name: str) -> Response:
        """One board, best first. Ranks are those on the whole board, whatever is filtered."""
        board = _board(name)
        asked = (request.query_params.get(name, "") for name in ("times", "host"))
        shown = chosen(choices(board.benchmark), *asked)
        found = queries.rows(board, self.filter_queryset(queries.entries(board.benchmark)), shown=shown)
        page = self.paginate_queryset(sort(found, _ordering(request, board, found)))
        results = self.get_serializer(page, many=True).data
        return self.paginator.of(name, board.protocol, results)


def _board(name: str) -> queries.Board:
    try:
        return queries.board(name)
    except Benchmark.DoesNotExist as error:
        raise NotFound("There is no such leaderboard.") from error


def _ordering(request: Request, board: queries.Board, found: list[Row]) -> str:
    order = request.query_params.get("ordering") or DEFAULT_ORDER
    known = dict.fromkeys(["rank", "system", "average", *board.columns, *METRICS, *metric_names(found)])
    if order.removeprefix("-") not in known:
        raise ValidationError({"ordering": [f"There is no {order[:60]!a}; there are: {', '.join(known)}."]})
    return order
