"""From a JSON object or a multipart form to a SubmissionRequest.

Only types are checked here; what is in the fields is checked by the code behind the form, in its words.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from leaderboard.submissions.members import MemberChoice
from leaderboard.submissions.options import option_field
from leaderboard.submissions.refusals import WHOLE_REQUEST, Problems
from leaderboard.submissions.runs import ARCHIVE, file_field
from leaderboard.submissions.validation import SubmissionRequest

OPTIONS, MEMBERS, SWEEPS = "options", "members", "sweeps"
MEMBER_KEYS = ("submission", "kind", "options")
TEXTS = tuple(field.name for field in fields(SubmissionRequest) if field.type is str)
FILE_PREFIX, OPTION_PREFIX = file_field(""), option_field("")
IGNORED = {"csrfmiddlewaretoken"}
MEMBERS_EXAMPLE = (
    "members must be a list of objects, such as"
    ' [{"submission": "ID"}, {"kind": "bm25", "options": {"k1": 0.9}}].'
)
NO_SWEEPS = 'sweeps must be a list of texts, such as ["weights=10,50", "vector-bits"].'
NO_OBJECT = 'Send one JSON object, such as {"benchmark": "mini", "kind": "bm25", "name": "BM25"}.'


class TooLarge(APIException):
    status_code = 413
    default_detail = "The request is too large; send files as multipart/form-data."
    default_code = "too_large"


class BoundedJSONParser(JSONParser):
    """DRF's own reads whatever is sent into memory, and a thousand brackets end it with a RecursionError."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge
        try:
            return super().parse(io.BytesIO(body), media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - nested too deeply") from error


def submission_request(request: Request) -> SubmissionRequest:
    """Raises Refused for fields that do not exist or are of another type."""
    problems = Problems()
    given: dict[str, Any] = {"benchmark": "", "kind": "", "name": "", OPTIONS: {}, "files": {}}
    if not isinstance(request.data, Mapping | QueryDict):
        problems.add(WHOLE_REQUEST, NO_OBJECT)
        raise problems.refusal()
    for name in request.data:
        value = request.data[name]
        if name in TEXTS:
            given |= _text(name, value, problems)
        elif name == MEMBERS:
            given[MEMBERS] = _members(value, problems)
        elif name == OPTIONS:
            given[OPTIONS] = given[OPTIONS] | _options(value, problems)
        elif name == SWEEPS:
            given[SWEEPS] = _sweeps(value, problems)
        elif not isinstance(request.data, QueryDict) or not _form_field(name, value, given):
            problems.add(WHOLE_REQUEST, _unknown(name))
    if problems:
        raise problems.refusal()
    return SubmissionRequest(**given)


def _text(name: str, value: object, problems: Problems) -> dict[str, str]:
    """JSON's null leaves the field out."""
    if value is None:
        return {}
    if not isinstance(value, str):
        problems.add(name, f"{name} must be a text.")
        return {}
    return {name: value}


def _options(value: object, problems: Problems) -> dict[str, object]:
    """An object, or in a form its JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping):
        problems.add(OPTIONS, 'options must be one JSON object, such as {"k1": 0.9}.')
        return {}
    return dict(value)


def _members(value: object, problems: Problems) -> tuple[MemberChoice, ...]:
    """A list of objects, or in a form its JSON; null leaves it out."""
    if isinstance(value, str):
        value = _json(value or "[]")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(member, Mapping) for member in value):
        problems.add(MEMBERS, MEMBERS_EXAMPLE)
        return ()
    return tuple(_member(member, problems) for member in value)


def _member(value: Mapping[str, object], problems: Problems) -> MemberChoice:
    submission, kind, options = (value.get(name) for name in MEMBER_KEYS)
    texts_right = all(isinstance(text, str | None) for text in (submission, kind))
    if set(value) - set(MEMBER_KEYS) or not texts_right or not isinstance(options, Mapping | None):
        problems.add(MEMBERS, MEMBERS_EXAMPLE)
        return MemberChoice()
    return MemberChoice(str(submission or ""), str(kind or ""), dict(options or {}))


def _json(text: str) -> object:
    """What is no JSON is no list either; it comes back as the text it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _sweeps(value: object, problems: Problems) -> tuple[str, ...]:
    """A list of texts, or in a form its JSON; null and an empty input ask for none."""
    if isinstance(value, str):
        value = _json(value or "[]")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        problems.add(SWEEPS, NO_SWEEPS)
        return ()
    return tuple(value)


def _form_field(name: str, value: object, given: dict[str, Any]) -> bool:
    """What only a form has: uploads, and one field an option. An input left empty is as one left out."""
    if name in IGNORED or value == "":
        return True
    if isinstance(value, UploadedFile):
        if name == ARCHIVE:
            given[ARCHIVE] = value
        elif name.startswith(FILE_PREFIX):
            given["files"][name.removeprefix(FILE_PREFIX)] = value
        return name == ARCHIVE or name.startswith(FILE_PREFIX)
    if name.startswith(OPTION_PREFIX):
        given[OPTIONS][name.removeprefix(OPTION_PREFIX)] = value
        return True
    return False


def _unknown(name: str) -> str:
    if name == ARCHIVE or name.startswith(FILE_PREFIX):
        return f"{name[:60]!a} must be a file of a multipart form."
    there = ", ".join((*TEXTS, OPTIONS, MEMBERS, SWEEPS, ARCHIVE, f"{FILE_PREFIX}DATASET"))
    return f"There is no field {name[:60]!a}; there are: {there}."
