"""Artefacts and submitted runs: who gets them, and how they are sent."""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client
from pytest_django import Settings

from leaderboard.catalog.models import RevisionFile
from leaderboard.submissions.models import Artefact, Evaluation, State
from tests.factories import make_benchmark, make_dataset, make_submission

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def storage(settings: Settings, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        }
    }


@pytest.fixture
def evaluation() -> Evaluation:
    submission = make_submission(benchmark=make_benchmark("b", [make_dataset("one")]), state=State.SUCCEEDED)
    return submission.evaluations.get(track="retrieval")


def leave(evaluation: Evaluation, name: str, content: bytes) -> str:
    path = default_storage.save(f"evaluations/{evaluation.pk}/{name}", ContentFile(content))
    Artefact.objects.create(
        evaluation=evaluation, name=name, file=path, sha256="0" * 64, size_bytes=len(content)
    )
    return f"/artefacts/{evaluation.pk}/{name}"


def body(response: HttpResponseBase) -> bytes:
    return b"".join(cast("Iterable[bytes]", cast("StreamingHttpResponse", response).streaming_content))


def test_it_works(client: Client, evaluation: Evaluation) -> None:
    response = client.get(leave(evaluation, "report.json", b"{}"))
    assert response.status_code == 200
    assert body(response) == b"{}"


def test_a_file_is_saved_and_never_shown_as_a_page_of_the_site(
    client: Client, evaluation: Evaluation
) -> None:
    response = client.get(leave(evaluation, "evil.html", b"<script>alert(1)</script>"))
    assert response["Content-Disposition"].startswith("attachment; filename=")
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_compressed_run_arrives_as_it_is_stored(client: Client, evaluation: Evaluation) -> None:
    response = client.get(leave(evaluation, "run.trec.gz", b"\x1f\x8bxyz"))
    assert response["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in response
    assert body(response) == b"\x1f\x8bxyz"


@pytest.mark.parametrize("state", [State.RUNNING, State.FAILED, State.CANCELLED])
def test_what_did_not_succeed_has_no_files(client: Client, evaluation: Evaluation, state: State) -> None:
    address = leave(evaluation, "report.json", b"{}")
    Evaluation.objects.filter(pk=evaluation.pk).update(state=state)
    assert client.get(address).status_code == 404


def test_a_file_that_is_gone_from_storage_is_404(client: Client, evaluation: Evaluation) -> None:
    address = leave(evaluation, "report.json", b"{}")
    default_storage.delete(Artefact.objects.get().file.name)
    assert client.get(address).status_code == 404


def test_a_submitted_run_is_public_once_it_has_results(client: Client, evaluation: Evaluation) -> None:
    upload = RevisionFile.objects.create(
        revision=evaluation.submission.revision,
        dataset=evaluation.dataset,
        file=default_storage.save("uploads/1/one.trec", ContentFile(b"q1 Q0 d1 1 1.0 x\n")),
        sha256="0" * 64,
        size_bytes=17,
    )
    response = client.get(f"/runs/{upload.pk}/")
    assert body(response) == b"q1 Q0 d1 1 1.0 x\n"
    assert 'filename="one.trec"' in response["Content-Disposition"]
    evaluation.submission.evaluations.update(state=State.FAILED)
    assert client.get(f"/runs/{upload.pk}/").status_code == 404
