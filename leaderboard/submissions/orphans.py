"""Removing files that no row came to name: artefacts and uploads are stored before their rows are."""

import logging
import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from leaderboard.catalog.models import RevisionFile

from . import uploads
from .models import TERMINAL, Artefact, Evaluation

logger = logging.getLogger(__name__)

FOLDER = "evaluations"
KEPT = timedelta(days=1)


def fence_folder(evaluation_id: uuid.UUID, fence: int) -> str:
    """Where one attempt at one evaluation keeps its artefacts; no other attempt ever writes there."""
    return f"{FOLDER}/{evaluation_id}/{fence}"


def sweep() -> int:
    """Delete what no row names a day after it was written: uploads, and what is left of evaluations."""
    return sum(_sweep_evaluation(name) for name in _folders(FOLDER) if _is_over(name)) + _sweep_uploads()


def _is_over(name: str) -> bool:
    """Also where the row itself is gone; never for a folder that is not ours."""
    try:
        row = Evaluation.objects.filter(pk=uuid.UUID(name)).only("state").first()
    except ValueError:
        return False
    return row is None or row.state in TERMINAL


def _sweep_evaluation(name: str) -> int:
    named = set(Artefact.objects.filter(evaluation_id=uuid.UUID(name)).values_list("file", flat=True))
    return _remove(path for path in _files(f"{FOLDER}/{name}") if path not in named)


def _sweep_uploads() -> int:
    """Those of a web process that was killed between storing them and its commit."""
    named = set(RevisionFile.objects.values_list("file", flat=True))
    return _remove(path for path in _files(uploads.FOLDER) if path not in named)


def _remove(unnamed: Iterable[str]) -> int:
    orphaned = [path for path in unnamed if _is_old(path)]
    for path in orphaned:
        default_storage.delete(path)
        logger.info("removed %s: no row names it", path)
    return len(orphaned)


def _files(folder: str) -> Iterator[str]:
    """Of each folder in `folder`: a fence's, or an upload's."""
    for inner in _folders(folder):
        for name in default_storage.listdir(f"{folder}/{inner}")[1]:
            yield f"{folder}/{inner}/{name}"


def _folders(folder: str) -> list[str]:
    try:
        return default_storage.listdir(folder)[0]
    except FileNotFoundError:
        return []


def _is_old(path: str) -> bool:
    return default_storage.get_modified_time(path) < timezone.now() - KEPT
