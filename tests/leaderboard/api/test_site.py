"""The schema, its page, limits, and answers where there is nothing: JSON of one shape, always."""

from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient
from rest_framework.throttling import AnonRateThrottle

from tests.factories import make_submission

pytestmark = pytest.mark.django_db


def test_the_schema_is_valid_and_complete(tmp_path: Path) -> None:
    target = tmp_path / "schema.yml"
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(target), stderr=StringIO())
    paths = [line.strip(" :") for line in target.read_text().splitlines() if line.startswith("  /")]
    assert paths == [
        "/api/v1/datasets/",
        "/api/v1/hosts/",
        "/api/v1/hosts/{profile}/",
        "/api/v1/kinds/",
        "/api/v1/leaderboards/",
        "/api/v1/leaderboards/{name}/",
        "/api/v1/submissions/",
        "/api/v1/submissions/{submission_id}/",
        "/api/v1/submissions/{submission_id}/cancel/",
        "/api/v1/submissions/{submission_id}/points/",
        "/api/v1/submissions/{submission_id}/rerun/",
    ]


def test_the_schema_is_served_as_yaml_and_json() -> None:
    client = Client()
    assert client.get("/api/v1/schema/").content.startswith(b"openapi: 3")
    answer = client.get("/api/v1/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.json()["info"]["title"] == "SparseBoard"


def test_the_documentation_page_has_no_inline_script() -> None:
    client = Client()
    response = client.get("/api/v1/docs/")
    assert "script-src 'self'" in response.headers["Content-Security-Policy"].split("; ")
    for script in response.content.decode().split("<script")[1:]:
        opening, _, body = script.partition(">")
        assert "src=" in opening
        assert not body.partition("</script>")[0].strip()
    script = client.get("/api/v1/docs/?script=")
    assert script.headers["Content-Type"].startswith("application/javascript")


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_an_address_that_is_not_there_answers_in_json(anonymous: APIClient, method: str) -> None:
    response = getattr(anonymous, method)("/api/v1/nowhere/")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/json"
    assert list(response.json()) == ["errors"]


def test_a_missing_last_slash_is_added_for_readers_and_told_to_writers(anonymous: APIClient) -> None:
    response = anonymous.get("/api/v1/kinds?page=1")
    assert (response.status_code, response.headers["Location"]) == (302, "/api/v1/kinds/?page=1")
    response = anonymous.post("/api/v1/submissions")
    assert response.status_code == 404
    assert "slash" in response.json()["errors"]["__all__"][0]


def test_a_method_that_is_not_offered_answers_in_json(anonymous: APIClient) -> None:
    response = anonymous.put("/api/v1/kinds/")
    assert response.status_code in (401, 405)
    assert list(response.json()) == ["errors"]
    assert anonymous.get(f"/api/v1/submissions/{make_submission().pk}/cancel/").status_code == 405


def test_our_own_failure_answers_in_json_without_details_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = APIClient(raise_request_exception=False)
    with patch("leaderboard.boards.queries.board", side_effect=RuntimeError("secret detail")):
        response = client.get("/api/v1/leaderboards/mini/")
    assert response.status_code == 500
    assert "secret" not in response.content.decode()
    assert list(response.json()) == ["errors"]
    assert "secret detail" in caplog.text


def test_who_asks_too_often_is_told_when_to_come_back(
    anonymous: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnonRateThrottle, "THROTTLE_RATES", {"anon": "2/min"})
    codes = [anonymous.get("/api/v1/kinds/").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    response = anonymous.get("/api/v1/kinds/")
    assert int(response.headers["Retry-After"]) > 0
    assert list(response.json()) == ["errors"]
