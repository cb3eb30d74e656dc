"""Keeping uploaded files: in the default storage, and away again where no row came to name them."""

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.files.base import File
from django.core.files.storage import default_storage

from leaderboard.catalog.models import Revision, RevisionFile
from leaderboard.submissions.runs import CheckedFile

logger = logging.getLogger(__name__)
FOLDER = "uploads"


@dataclass
class StoredFiles:
    """Files that lie in the default storage; theirs is the revision that takes them, if one does."""

    paths: list[tuple[CheckedFile, str]] = field(default_factory=list)
    is_taken: bool = False

    def give_to(self, revision: Revision) -> None:
        """In the transaction that creates the revision."""
        RevisionFile.objects.bulk_create(
            RevisionFile(
                revision=revision,
                dataset=checked.dataset,
                file=path,
                sha256=checked.sha256,
                size_bytes=checked.size_bytes,
            )
            for checked, path in self.paths
        )
        self.is_taken = True


@contextmanager
def stored(files: Sequence[CheckedFile]) -> Iterator[StoredFiles]:
    """Made before a transaction opens, since a large copy must hold no lock; gone if nobody took them."""
    kept = StoredFiles()
    folder = f"{FOLDER}/{uuid.uuid4().hex}"
    try:
        for checked in files:
            with checked.path.open("rb") as stream:
                path = default_storage.save(f"{folder}/{checked.name}{checked.suffix}", File(stream))
            kept.paths.append((checked, path))
        yield kept
    except BaseException:
        kept.is_taken = False
        raise
    finally:
        if not kept.is_taken:
            _discard(kept)


def _discard(files: StoredFiles) -> None:
    for _, path in files.paths:
        try:
            default_storage.delete(path)
        except OSError:
            logger.exception("could not remove %s, which no row names", path)
