"""Which files a folder of vectors has, and their checksums."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from evaluations.errors import EvaluationError
from evaluations.systems.vector_files.ids import ids_file
from evaluations.systems.vector_files.limits import refusal
from evaluations.systems.vector_files.meta import META

SPARSE_LINES = (".jsonl", ".jsonl.gz")
SPARSE_MATRIX = (".npz",)
DENSE = (".npy", ".safetensors")
SIDES = ("documents", "queries")
MAX_FILES = 1000
_SUFFIXES = (*SPARSE_LINES, *SPARSE_MATRIX, *DENSE)


def folder_for(folder: Path, dataset: str | None) -> Path:
    """The sub-folder named after the dataset where there is one, else the folder itself.

    Raises EvaluationError `VECTORS-FOLDER` where neither has a `meta.json`.
    """
    if dataset is not None and (folder / dataset / META).is_file():
        return folder / dataset
    if (folder / META).is_file():
        return folder
    if not folder.is_dir():
        raise EvaluationError("VECTORS-FOLDER", f"{folder} is no folder; give the folder of the vectors")
    there = ", ".join(sorted(path.parent.relative_to(folder).as_posix() for path in _metas(folder))[:20])
    problem = f"{folder.name} has no {META}, nor has its sub-folder {dataset}; it has: {there or 'none'}"
    raise EvaluationError("VECTORS-FOLDER", f"{problem}; write one beside documents and queries")


def vector_file(folder: Path, side: str) -> Path:
    """The one file of `documents` or `queries`. Raises EvaluationError `VECTORS-FILE`."""
    there = [path for suffix in _SUFFIXES if (path := folder / f"{side}{suffix}").is_file()]
    if not there:
        expected = ", ".join(f"{side}{suffix}" for suffix in _SUFFIXES)
        raise refusal("FILE", folder, f" has no vectors of the {side}; one of {expected} is needed")
    if len(there) > 1:
        names = " and ".join(path.name for path in there)
        raise refusal("FILE", folder, f" has {names}; keep the one that counts")
    return there[0]


def suffix_of(path: Path) -> str:
    """`.jsonl.gz` of `documents.jsonl.gz`."""
    return "".join(path.suffixes)


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that may be read, of all datasets, by its path in the folder."""
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(_files(folder))}


def _files(folder: Path) -> Iterator[Path]:
    for meta in _metas(folder):
        yield meta
        for side in SIDES:
            vectors = (meta.with_name(f"{side}{suffix}") for suffix in _SUFFIXES)
            yield from (path for path in (*vectors, ids_file(meta.with_name(side))) if path.is_file())


def _metas(folder: Path) -> list[Path]:
    found = []
    for path in folder.rglob(META):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            found.append(path)
        if len(found) > MAX_FILES:
            raise EvaluationError("VECTORS-FOLDER", f"{folder.name} has more than {MAX_FILES} {META}")
    return found


def _sha256(path: Path) -> str:
    status = path.stat()
    return _sha256_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=MAX_FILES)
def _sha256_of(path: Path, size: int, modified: int) -> str:  # noqa: ARG001 - they tell versions apart
    """Remembered: a folder is pinned, then named in the report, and may be many gigabytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
