"""Requests made up from the schema, wrong ones too: no answer is a failure, or other than the schema says."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from rest_framework.throttling import SimpleRateThrottle
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from leaderboard.accounts.models import AuthToken, User
from leaderboard.catalog.models import Benchmark
from leaderboard.hosts import registry
from tests.leaderboard.boards.helpers import put_on_board
from tests.leaderboard.hosts.test_registry import identity

pytestmark = pytest.mark.django_db

CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance),
    ignored_auth,
]
BOUNDED = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def api_schema(pets: Benchmark, alice: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    put_on_board(pets, {"pets": 0.5})
    registry.register(identity())
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"anon": None, "user": None})
    for signal in (
        request_started,
        request_finished,
    ):  # as Django's test client does: the test holds the connection
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/v1/schema/", get_wsgi_application())
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def token(alice: User) -> str:
    return AuthToken.objects.create(user=alice)[1]


def aim(case: Any, board: Benchmark) -> None:
    """Let a request be for what is there, or nearly all of them would end at "not found"."""
    there = {
        "name": board.name,
        "submission_id": str(board.submissions.latest("created_at").pk),
        "profile": identity().profile,
    }
    case.path_parameters |= {key: there[key] for key in case.path_parameters}
    if isinstance(case.body, dict):
        case.body["benchmark"] = board.name


def statuses(operation: Any, mode: GenerationMode, token: str, board: Benchmark) -> set[int]:
    """Of the answers to requests made up for an operation; each of them was checked."""
    found = set()

    @BOUNDED
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if mode.is_positive:
            aim(case, board)
        answer = case.call_and_validate(headers={"Authorization": f"Token {token}"}, checks=CHECKS)
        found.add(answer.status_code)

    check()
    return found


@pytest.mark.parametrize("mode", GenerationMode)
def test_every_answer_is_as_the_schema_says(
    api_schema: Any, token: str, mode: GenerationMode, pets: Benchmark
) -> None:
    operations = [found.ok() for found in api_schema.get_all_operations()]
    answered = {operation.label: statuses(operation, mode, token, pets) for operation in operations}
    if mode.is_positive:  # so requests reach what is there
        read = {label for label, found in answered.items() if 200 in found}
        assert read == {label for label in answered if label.startswith("GET ")}
    else:
        assert {label for label, found in answered.items() if max(found) >= 400} == set(answered)
