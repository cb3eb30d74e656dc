"""The folders of a worker's host: one for each attempt, removed with it, and one for each dataset, kept.

VAR/attempts/<random>/      an attempt: wanted.json, fetched.json, system.json, the uploaded files
    submitted/              what is in them, where they are archives
    measured/               what the process that ran the model wrote
    scored/                 what is taken of it, and the scores
VAR/datasets/<dataset id>/  a dataset without its qrels
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

LOCK = ".lock"


def attempts_folder() -> Path:
    return Path(settings.VAR) / "attempts"


def blind_folder(dataset_id: uuid.UUID) -> Path:
    return Path(settings.VAR) / "datasets" / str(dataset_id)


@contextlib.contextmanager
def attempt_folder() -> Iterator[Path]:
    """A folder that is locked while its worker lives, so that no other takes it for abandoned."""
    attempts_folder().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=attempts_folder()))
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> int:
    """Remove what workers left that were killed; returns the number of folders."""
    folders = attempts_folder().iterdir() if attempts_folder().is_dir() else iter(())
    return sum(_remove_if_abandoned(folder) for folder in list(folders))


def _remove_if_abandoned(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False  # just being made, or just being removed
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
