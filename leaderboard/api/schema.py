"""What the OpenAPI schema says that the views alone do not: error answers, headers, a submission's body."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema_field, inline_serializer
from rest_framework import serializers

from evaluations.systems import WEB_KINDS
from leaderboard.boards.filters import ScaledNumberFilter

from .serializers import ErrorsSerializer

MEANINGS = {
    400: "Refused: messages by field. Nothing was stored.",
    401: "No token, or one that is not valid.",
    403: "Not allowed to this token or person.",
    404: "There is none, or no such page of it.",
    409: "Stands against what is there already.",
    413: "Too large.",
    415: "Neither JSON nor a form.",
    429: "Too many requests; `Retry-After` says when to come back.",
}

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="At most 80 printable ASCII characters. The same key and request give the same submission.",
)

SUBMISSION = inline_serializer(
    "SubmissionRequest",
    {
        "benchmark": serializers.CharField(help_text="Name of a board."),
        "kind": serializers.ChoiceField(choices=list(WEB_KINDS)),
        "name": serializers.CharField(max_length=100, help_text="The system's name, as the board shows it."),
        "location": serializers.CharField(
            required=False,
            help_text="For kinds that take a model: its hub id, ORG/NAME; in a form an archive instead.",
        ),
        "revision": serializers.CharField(
            required=False, help_text="A branch, tag or commit; empty for the newest."
        ),
        "options": serializers.DictField(required=False, help_text="Of the kind; see /api/v1/kinds/."),
        "members": serializers.ListField(
            required=False,
            child=inline_serializer(
                "MemberRequest",
                {
                    "submission": serializers.CharField(
                        required=False, help_text="Id of a submission, whose system is taken as it is."
                    ),
                    "kind": serializers.CharField(required=False, help_text="Or a kind: bm25."),
                    "options": serializers.DictField(required=False, help_text="Of that kind."),
                },
            ),
            help_text="For kinds made of others, in order; see /api/v1/kinds/.",
        ),
        "device": serializers.ChoiceField(required=False, choices=["cpu", "gpu"]),
        "tracks": serializers.CharField(
            required=False,
            help_text="With commas between: retrieval,sparsity. Without it all that the system has: latency"
            " only where no member is a run or vectors, and where the documents are here.",
        ),
        "sweeps": serializers.ListField(
            required=False,
            child=serializers.CharField(),
            help_text="Curves of operating points, each as the command line's --sweep takes it; see"
            " `sweeps` of /api/v1/kinds/. Values of `soup` are ids of submissions: soup=ID+ID,ID.",
        ),
        "organisation": serializers.CharField(required=False, max_length=120),
        "licence": serializers.CharField(required=False, max_length=60),
        "url": serializers.CharField(required=False, max_length=200),
        "description": serializers.CharField(required=False, max_length=2000),
        "training_data": serializers.CharField(required=False, max_length=2000),
        "note": serializers.CharField(required=False, max_length=300),
    },
)

UPLOAD: dict[str, Any] = {
    "type": "object",
    "description": "The same fields, options, members and sweeps as JSON, and files. Runs: one `file-DATASET`"
    " each, or one zip as `archive`. A model in place of `location`, or vectors: a zip, tar or tar.gz as"
    " `archive`.",
    "properties": {
        "benchmark": {"type": "string"},
        "kind": {"type": "string", "enum": list(WEB_KINDS)},
        "name": {"type": "string", "maxLength": 100},
        "options": {"type": "string"},
        "members": {"type": "string"},
        "sweeps": {"type": "string"},
        "archive": {"type": "string", "format": "binary"},
    },
    "additionalProperties": {"type": "string", "format": "binary"},
    "required": ["benchmark", "kind", "name"],
}

SUBMISSION_BODY = {"application/json": SUBMISSION, "multipart/form-data": UPLOAD}


# Its limits stand on keys inside a JSON column, whose type the generator cannot find out.
extend_schema_field(str)(ScaledNumberFilter)


def errors(*codes: int) -> dict[int, OpenApiResponse]:
    """The named error answers, and those of every address."""
    return {code: OpenApiResponse(ErrorsSerializer, MEANINGS[code]) for code in (401, *codes, 429)}
