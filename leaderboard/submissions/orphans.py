"""Removing files of attempts that came to nothing: artefacts are stored before their results are accepted."""

import logging
import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from .models import TERMINAL, Artefact, Evaluation

logger = logging.getLogger(__name__)

FOLDER = "evaluations"
KEPT = timedelta(days=1)


def fence_folder(evaluation_id: uuid.UUID, fence: int) -> str:
    """Where one attempt at one evaluation keeps its artefacts; no other attempt ever writes there."""
    return f"{FOLDER}/{evaluation_id}/{fence}"


def sweep() -> int:
    """Delete files that no row names, a day after they were written, of evaluations that are over."""
    return sum(_sweep_evaluation(name) for name in _folders(FOLDER) if _is_over(name))


def _is_over(name: str) -> bool:
    """Also where the row itself is gone; never for a folder that is not ours."""
    try:
        row = Evaluation.objects.filter(pk=uuid.UUID(name)).only("state").first()
    except ValueError:
        return False
    return row is None or row.state in TERMINAL


def _sweep_evaluation(name: str) -> int:
    named = set(Artefact.objects.filter(evaluation_id=uuid.UUID(name)).values_list("file", flat=True))
    orphaned = [path for path in _files(f"{FOLDER}/{name}") if path not in named and _is_old(path)]
    for path in orphaned:
        default_storage.delete(path)
        logger.info("removed %s: no row names it", path)
    return len(orphaned)


def _files(folder: str) -> Iterator[str]:
    for fence in _folders(folder):
        for name in default_storage.listdir(f"{folder}/{fence}")[1]:
            yield f"{folder}/{fence}/{name}"


def _folders(folder: str) -> list[str]:
    try:
        return default_storage.listdir(folder)[0]
    except FileNotFoundError:
        return []


def _is_old(path: str) -> bool:
    return default_storage.get_modified_time(path) < timezone.now() - KEPT
