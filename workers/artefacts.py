"""Storing what an evaluation leaves, in its fence's folder, synced before its results are committed."""

import hashlib
import os
from pathlib import Path

from django.core.files import File
from django.core.files.storage import default_storage

from evaluations.artefacts import PER_QUERY, RUN
from evaluations.report import REPORT
from evaluations.sparsity.pooling import DIMENSION_COUNTS
from evaluations.sparsity.sweeps import SWEEPS_PER_QUERY, SWEEPS_TABLE
from leaderboard.submissions.lifecycle import Claim, StoredArtefact
from leaderboard.submissions.orphans import fence_folder

NAMES = (REPORT, RUN, PER_QUERY, DIMENSION_COUNTS, SWEEPS_TABLE, SWEEPS_PER_QUERY)


def store(claim: Claim, folder: Path) -> list[StoredArtefact]:
    """Copy the known files of a finished evaluation into the default storage."""
    target = fence_folder(claim.lead, claim.fences[claim.lead])
    return [_store(folder / name, target) for name in NAMES if (folder / name).is_file()]


def _store(source: Path, folder: str) -> StoredArtefact:
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        path = default_storage.save(f"{folder}/{source.name}", File(stream))
    _sync(path)
    return StoredArtefact(source.name, path, digest, source.stat().st_size)


def _sync(path: str) -> None:
    """The file, and the folders that name it. A remote storage has no path, and synced when it answered."""
    try:
        local = Path(default_storage.path(path))
    except NotImplementedError:
        return
    for place in (local, *list(local.parents)[:3]):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
