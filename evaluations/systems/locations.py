"""Where a model is, and which revision of it exactly.

`SPARSEBOARD_MODELS` names folders laid out ORG/NAME (with `:` between several), looked in before the hub.
`pin` is cheap: an id becomes an exact revision, nothing is downloaded. `fetch` gives the files in a folder.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from evaluations.errors import EvaluationError
from evaluations.hub_ids import is_hub_id
from evaluations.model_files import FILE_SUFFIXES
from evaluations.systems import hub

MAX_FILES = 1000
CHUNK_BYTES = 1 << 20

_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{16}")


@dataclass(frozen=True)
class ResolvedModel:
    """A model's files on this machine. `files`: path in the folder -> SHA-256 of its bytes."""

    folder: Path
    revision: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Pinned:
    """An exact revision. `files`: path -> SHA-256 of its bytes, or `git:` and its blob's id."""

    revision: str
    files: Mapping[str, str]


def pin(location: str, revision: str | None = None, *, allow_path: bool = False) -> str:
    """The exact revision: a commit of the hub, or `sha256:` and 16 digits for a folder. Downloads nothing.

    Raises EvaluationError `MODEL-ID`, `MODEL-REVISION`, `MODEL-MISSING`, `REVISION-MISMATCH`, and
    EvaluationFailed `HUB-UNREACHABLE`.
    """
    return pinned(location, revision, allow_path=allow_path).revision


def pinned(location: str, revision: str | None = None, *, allow_path: bool = False) -> Pinned:
    """The exact revision with what is known of its files. Raises what `pin` raises."""
    folder = folder_here(location, allow_path=allow_path)
    if folder is not None:
        files = file_checksums(folder)
        return Pinned(_verified(location, revision, checksum(files)), files)
    if revision is not None:
        _check_hub_revision(location, revision)
    if hub.is_offline() or _COMMIT.fullmatch(revision or ""):
        snapshot = hub.cached(location, revision)
        if snapshot is not None:
            return Pinned(snapshot.name, file_checksums(snapshot))
    found = hub.describe(location, revision)
    return Pinned(found.commit, found.digests)


def fetch(location: str, revision: str | None = None, *, allow_path: bool = False) -> ResolvedModel:
    """The model's files, downloaded where need be. Raises what `pin` raises."""
    folder = folder_here(location, allow_path=allow_path)
    if folder is not None:
        files = file_checksums(folder)
        return ResolvedModel(folder, _verified(location, revision, checksum(files)), files)
    commit = pin(location, revision)
    folder = hub.cached(location, commit) or hub.download(location, commit)
    return ResolvedModel(folder, commit, file_checksums(folder))


def local_folder(hub_id: str) -> Path | None:
    """A hub's model on this machine, in SPARSEBOARD_MODELS or the hub's own cache; the hub is not asked."""
    return folder_here(hub_id, allow_path=False) or hub.cached(hub_id, None)


def file_checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a model that a loader may read, by its path in the folder."""
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in _model_files(folder)}


def folder_here(location: str, *, allow_path: bool) -> Path | None:
    """The folder on this machine, or None where the hub must be asked.

    Raises EvaluationError `MODEL-ID` or `MODEL-MISSING`.
    """
    if allow_path and (Path(location).is_dir() or location.startswith(("/", ".", "~"))):
        folder = Path(location).expanduser()
        if not folder.is_dir():
            raise EvaluationError(
                "MODEL-MISSING", f"no folder {location}; give a folder or a hub id ORG/NAME"
            )
        return folder
    if not is_hub_id(location):
        raise EvaluationError("MODEL-ID", f"{location[:100]!r} is no hub id; write ORG/NAME")
    candidates = (
        Path(root) / location for root in os.environ.get("SPARSEBOARD_MODELS", "").split(os.pathsep) if root
    )
    return next((folder for folder in candidates if folder.is_dir()), None)


def _verified(location: str, wanted: str | None, found: str) -> str:
    if wanted is not None and wanted != found:
        raise EvaluationError(
            "REVISION-MISMATCH", f"{location} here is {found}, not {wanted[:100]}; leave @... out"
        )
    return found


def _check_hub_revision(location: str, revision: str) -> None:
    if _CHECKSUM.fullmatch(revision):
        problem = f"{location}@{revision} names a folder's files, and this machine has no such folder"
        raise EvaluationError(
            "MODEL-MISSING", f"{problem}; the hub's revisions are commits, tags and branches"
        )
    if not _REVISION.fullmatch(revision):
        raise EvaluationError(
            "MODEL-REVISION", f"{revision[:100]!r} is no revision: write a commit, tag or branch"
        )


def is_file_of(path: Path, digest: str) -> bool:
    """Whether a file has the SHA-256, or for `git:` the id, that it had when its model was pinned."""
    if not digest.startswith(hub.GIT):
        return _sha256(path) == digest
    content = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            content.update(chunk)
    return content.hexdigest() == digest.removeprefix(hub.GIT)


def checksum(files: Mapping[str, str]) -> str:
    """The revision of files: path -> SHA-256 of its bytes."""
    listing = "".join(f"{name}\0{digest}\n" for name, digest in sorted(files.items()))
    return f"sha256:{hashlib.sha256(listing.encode()).hexdigest()[:16]}"


def _model_files(folder: Path) -> Iterator[Path]:
    found = 0
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in FILE_SUFFIXES and path.is_file() and not hidden:
            found += 1
            if found > MAX_FILES:
                raise EvaluationError(
                    "MODEL-FILES", f"{folder.name} has more than {MAX_FILES} files; is it a model?"
                )
            yield path


def _sha256(path: Path) -> str:
    status = path.stat()
    return _sha256_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=MAX_FILES)
def _sha256_of(path: Path, size: int, modified: int) -> str:  # noqa: ARG001 - they are what tells versions apart
    """Remembered in a process: a model is pinned and then fetched, and its weights may be many gigabytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
