"""Every error has one shape: `{"errors": {FIELD: [MESSAGE, ...]}}`; `__all__` is the request as a whole."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler

from leaderboard.submissions.refusals import WHOLE_REQUEST, IdempotencyConflict, Refused

logger = logging.getLogger(__name__)


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER: the project's own refusals, DRF's errors, and what is our fault."""
    if isinstance(error, Refused):
        conflict = isinstance(error, IdempotencyConflict)
        code = status.HTTP_409_CONFLICT if conflict else status.HTTP_400_BAD_REQUEST
        return Response(body(error.errors), status=code)
    if isinstance(error, SuspiciousOperation):
        return _too_much(error)
    response = exception_handler(error, context)
    if response is None:
        return _ours(error, context)
    detail = error.detail if isinstance(error, APIException) else response.data["detail"]
    response.data = body(_by_field(detail))
    return response


def body(errors: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
    return {"errors": {field: list(messages) for field, messages in errors.items()}}


def whole(message: str) -> dict[str, dict[str, list[str]]]:
    return body({WHOLE_REQUEST: [message]})


def _too_much(error: SuspiciousOperation) -> Response:
    """Django's own limits on what it parses: bytes, fields, files."""
    too_large = isinstance(error, RequestDataTooBig)
    code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE if too_large else status.HTTP_400_BAD_REQUEST
    message = "The request is too large" if too_large else "The request has too many fields or files"
    return Response(whole(f"{message}; send files as multipart/form-data, or one zip."), status=code)


def _ours(error: Exception, context: dict[str, Any]) -> Response:
    """Logged whole, told without details. Django sends this signal for its pages; test clients listen."""
    request = context["request"]._request
    got_request_exception.send(sender=None, request=request)
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    message = "Something failed on our side; it is logged. Try again later."
    return Response(whole(message), status=status.HTTP_500_INTERNAL_SERVER_ERROR)


def _by_field(detail: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for field, message in _flat(detail, ""):
        found.setdefault(field or WHOLE_REQUEST, []).append(message)
    return found


def _flat(detail: Any, field: str) -> Iterator[tuple[str, str]]:
    """Messages with the path of their field: `options.k1` for what is nested."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            name = "" if key in ("detail", "non_field_errors") else str(key)
            yield from _flat(inner, ".".join(part for part in (field, name) if part))
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from _flat(inner, field)
    else:
        yield field, str(detail)
