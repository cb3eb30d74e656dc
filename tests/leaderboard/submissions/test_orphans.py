"""Which files of attempts that came to nothing are removed, and which never."""

import os
import time
import uuid
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from leaderboard.catalog.models import RevisionFile
from leaderboard.submissions import orphans
from leaderboard.submissions.models import Artefact, Evaluation, State
from tests.factories import make_revision, make_submission


@pytest.fixture(autouse=True)
def artefacts(tmp_path, settings) -> Path:
    settings.STORAGES = settings.STORAGES | {
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path},
        }
    }
    return tmp_path


def evaluation(state: State) -> Evaluation:
    return make_submission(state=state).evaluations.all()[0]


def store(evaluation_id: uuid.UUID, fence: int = 1, *, days_old: float = 2) -> str:
    path = default_storage.save(
        f"{orphans.fence_folder(evaluation_id, fence)}/run.trec.gz", ContentFile(b"run")
    )
    written = time.time() - days_old * 86_400
    os.utime(default_storage.path(path), (written, written))
    return path


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_a_file_of_an_attempt_that_lost_is_removed_after_a_day(db, state):
    path = store(evaluation(state).pk)
    assert orphans.sweep() == 1
    assert not default_storage.exists(path)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_nothing_is_removed_while_an_attempt_may_still_write(db, state):
    path = store(evaluation(state).pk)
    assert orphans.sweep() == 0
    assert default_storage.exists(path)


def test_a_file_that_a_row_names_stays(db):
    over = evaluation(State.SUCCEEDED)
    lost, named = store(over.pk, fence=1), store(over.pk, fence=2)
    Artefact.objects.create(evaluation=over, name="run.trec.gz", file=named, sha256="0" * 64, size_bytes=3)
    assert orphans.sweep() == 1
    assert default_storage.exists(named)
    assert not default_storage.exists(lost)


def test_a_young_file_stays(db):
    store(evaluation(State.FAILED).pk, days_old=0.9)
    assert orphans.sweep() == 0


def test_files_of_a_deleted_evaluation_are_removed_and_foreign_folders_stay(db, artefacts):
    store(uuid.uuid4())
    foreign = artefacts / "evaluations" / "notes" / "1"
    foreign.mkdir(parents=True)
    (foreign / "note.txt").write_text("kept")
    os.utime(foreign / "note.txt", (0, 0))
    assert orphans.sweep() == 1
    assert (foreign / "note.txt").exists()


def upload(*, days_old: float = 2) -> str:
    path = default_storage.save("uploads/0123/mini.trec", ContentFile(b"run"))
    written = time.time() - days_old * 86_400
    os.utime(default_storage.path(path), (written, written))
    return path


def test_an_upload_that_no_submission_came_to_name_is_removed_after_a_day(db):
    path = upload()
    assert orphans.sweep() == 1
    assert not default_storage.exists(path)


def test_an_upload_of_today_stays_since_its_commit_may_still_come(db):
    path = upload(days_old=0.9)
    assert orphans.sweep() == 0
    assert default_storage.exists(path)


def test_an_upload_that_a_revision_names_stays(db):
    path = upload()
    RevisionFile.objects.create(revision=make_revision(kind="run"), file=path, sha256="0" * 64, size_bytes=3)
    assert orphans.sweep() == 0
    assert default_storage.exists(path)
