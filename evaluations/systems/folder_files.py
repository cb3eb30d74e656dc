"""The files of a submitted model's folder before any is read: plain, inside, and of bounded size."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from evaluations.errors import EvaluationError

MAX_ENTRIES = 10_000
MAX_SETTINGS_BYTES = 4 * 1024**2
MAX_VOCABULARY_BYTES = 64 * 1024**2
# Libraries read these with parsers of their own; all other .json files are settings.
VOCABULARIES = ("tokenizer.json", "vocab.json", "idf.json", ".index.json", "added_tokens.json", "merges.json")
_LIMITED = {".txt": MAX_VOCABULARY_BYTES, ".model": MAX_VOCABULARY_BYTES, ".tiktoken": MAX_VOCABULARY_BYTES,
            ".jinja": 1024**2, ".metadata": 1024**2}  # fmt: skip


def check_files(folder: Path) -> None:
    """Raises EvaluationError `MODEL-LINK` or `MODEL-FILES`, naming the file."""
    roots = _roots(folder)
    for path in _entries(folder):
        name = path.relative_to(folder).as_posix()
        target = _target(path, name)
        if not any(target.is_relative_to(root) for root in roots):
            _refuse("MODEL-LINK", name, "is a link out of the model's folder; put the file itself there")
        mode = target.stat().st_mode if target.exists() else 0
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            _refuse("MODEL-LINK", name, "is a device, a pipe or a broken link; remove it")
        if stat.S_ISDIR(mode) and path.is_symlink():
            # What lists files passes it over, what loads them does not.
            _refuse("MODEL-LINK", name, "is a link to a folder; put the folder itself there")
        limit = _limit(path)
        if limit and stat.S_ISREG(mode) and (size := target.stat().st_size) > limit:
            _refuse("MODEL-FILES", name, f"has {size:,} bytes; at most {limit:,} are read of such a file")


def is_settings(path: Path) -> bool:
    return path.suffix == ".json" and not path.name.endswith(VOCABULARIES)


def _entries(folder: Path) -> Iterator[Path]:
    for count, path in enumerate(folder.rglob("*")):
        if count >= MAX_ENTRIES:
            _refuse("MODEL-FILES", folder.name, f"holds more than {MAX_ENTRIES:,} files; is it a model?")
        yield path


def _roots(folder: Path) -> list[Path]:
    """The folder, and where it is a snapshot in the hub's cache, that model's own files beside it."""
    here = folder.resolve()
    return [here, here.parent.parent / "blobs"] if here.parent.name == "snapshots" else [here]


def _target(path: Path, name: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # the latter for a link that leads to itself
        _refuse("MODEL-LINK", name, "is a link that leads nowhere; remove it")


def _limit(path: Path) -> int | None:
    if path.suffix == ".json":
        return MAX_SETTINGS_BYTES if is_settings(path) else MAX_VOCABULARY_BYTES
    return _LIMITED.get(path.suffix)


def _refuse(code: str, name: str, problem: str) -> NoReturn:
    raise EvaluationError(code, f"{name} {problem}")
