"""Submitting over REST, and following what was submitted. Every rule is in leaderboard.submissions."""

from typing import Any, cast
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from leaderboard.accounts.models import User
from leaderboard.boards import points, swept
from leaderboard.submissions import lifecycle, queries, submit
from leaderboard.submissions.bounded import FORM_BYTES
from leaderboard.submissions.models import Artefact, Submission

from .permissions import TokenScope
from .requests import BoundedJSONParser, TooLarge, submission_request
from .schema import IDEMPOTENCY_KEY, SUBMISSION_BODY, errors
from .serializers import (
    DatasetCurvesSerializer,
    SubmissionListSerializer,
    SubmissionSerializer,
    SubmittedSerializer,
)


class Submissions(GenericAPIView[Any]):
    """The caller's own submissions, and the place to make one."""

    serializer_class = SubmissionListSerializer
    permission_classes = (IsAuthenticated, TokenScope)
    parser_classes = (BoundedJSONParser, MultiPartParser, FormParser)
    filter_backends = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """The size first: signing in by session reads the whole upload, to look for the CSRF token."""
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.UPLOAD_LIMIT_BYTES + FORM_BYTES:
            raise TooLarge(f"The request is larger than {settings.UPLOAD_LIMIT_BYTES >> 20} MiB.")
        super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="submissions_list",
        responses={200: SubmissionListSerializer(many=True), **errors(404)},
    )
    def get(self, request: Request) -> Response:
        """The caller's own submissions, newest first."""
        page = self.paginate_queryset(queries.submissions_of(_caller(request)))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        operation_id="submissions_create",
        request=SUBMISSION_BODY,
        parameters=[IDEMPOTENCY_KEY],
        responses={
            201: SubmittedSerializer,
            200: SubmittedSerializer,
            **errors(400, 403, 409, 413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Check a submission and queue it; where a field is wrong, nothing is stored.

        Answers 200 in place of 201 where the `Idempotency-Key` came before with the same request.
        """
        key = request.headers.get("Idempotency-Key") or None
        owner = _caller(request)
        validated = submit.validate(submission_request(request))
        repeated = bool(key) and Submission.objects.filter(owner=owner, idempotency_key=key).exists()
        submission = submit.create(owner, validated, idempotency_key=key)
        body = _body(submission.pk, request) | {"warnings": list(validated.warnings)}
        return Response(body, status=status.HTTP_200_OK if repeated else status.HTTP_201_CREATED)


class SubmissionDetail(GenericAPIView[Any]):
    """One submission: states, stages, progress, places in the queue, errors, files."""

    serializer_class = SubmissionSerializer
    filter_backends = ()
    pagination_class = None

    @extend_schema(operation_id="submissions_read", responses={200: SubmissionSerializer, **errors(404)})
    def get(self, request: Request, submission_id: UUID) -> Response:
        """One submission with its evaluations: states, stages, progress, queue places, errors, files."""
        return Response(_body(submission_id, request))


class Points(GenericAPIView[Any]):
    """The operating points of one submission, dataset by dataset."""

    serializer_class = DatasetCurvesSerializer
    filter_backends = ()
    pagination_class = None

    @extend_schema(
        operation_id="submissions_points", responses={200: DatasetCurvesSerializer(many=True), **errors(404)}
    )
    def get(self, request: Request, submission_id: UUID) -> Response:
        """Every curve with its points, unrounded; none where no sweep was asked for or is done."""
        if not Submission.objects.filter(pk=submission_id).exists():
            raise NotFound("There is no such submission.")
        found = [
            {
                "dataset": each.evaluation.dataset.name,
                "evaluation": each.evaluation.pk,
                "host": each.host or None,
                "curves": points.curves_in(each),
            }
            for each in swept.swept_of(submission_id)
        ]
        return Response(self.get_serializer(found, many=True).data)


class Cancel(SubmissionDetail):
    http_method_names = ("post", "options")

    @extend_schema(
        operation_id="submissions_cancel",
        request=None,
        responses={200: SubmissionSerializer, **errors(403, 404)},
    )
    def post(self, request: Request, submission_id: UUID) -> Response:
        """End what is not over yet. Its owner and the staff only. What is over stays as it is."""
        lifecycle.cancel(_managed(submission_id, request), _caller(request))
        return Response(_body(submission_id, request))


class Rerun(SubmissionDetail):
    http_method_names = ("post", "options")

    @extend_schema(
        operation_id="submissions_rerun",
        request=None,
        responses={201: SubmissionSerializer, **errors(400, 403, 404)},
    )
    def post(self, request: Request, submission_id: UUID) -> Response:
        """Queue the same revision again, as a new submission. Its owner and the staff only."""
        again = submit.rerun(_managed(submission_id, request), _caller(request))
        return Response(_body(again.pk, request), status=status.HTTP_201_CREATED)


def _caller(request: Request) -> User:
    """Only where the permission class lets nobody else through."""
    return cast(User, request.user)


def _managed(submission_id: UUID, request: Request) -> Submission:
    submission = (
        Submission.objects.select_related("owner", "revision", "benchmark").filter(pk=submission_id).first()
    )
    if submission is None:
        raise NotFound("There is no such submission.")
    if not queries.may_manage(request.user, submission):
        raise PermissionDenied("Only its owner may do this.")
    return submission


def _body(submission_id: UUID, request: Request) -> dict[str, Any]:
    try:
        found = queries.submission_status(submission_id, request.user)
    except Submission.DoesNotExist as error:
        raise NotFound("There is no such submission.") from error
    artefacts: dict[UUID, list[Artefact]] = {}
    for artefact in Artefact.objects.filter(evaluation__submission=submission_id):
        artefacts.setdefault(artefact.evaluation_id, []).append(artefact)
    return dict(SubmissionSerializer(found, context={"artefacts": artefacts}).data)
