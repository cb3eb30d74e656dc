"""From an archive to a folder of its own, which is gone again where anything in it is refused."""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from evaluations.archives import tars, zips
from evaluations.archives.contents import MODEL, VECTORS, Contents, is_vector_file
from evaluations.archives.limits import ArchiveLimits, Budget, refusal
from evaluations.archives.members import Member
from evaluations.errors import EvaluationError

_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_OTHERS = {
    b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf": "7z", b"Rar!": "rar",
}  # fmt: skip
_LITTER = {"__MACOSX", "Thumbs.db"}


def is_archive(path: Path) -> bool:
    """By its first bytes, whatever it is called."""
    with path.open("rb") as stream:
        start = stream.read(tars.BLOCK)
    return start.startswith((*_ZIP_MAGICS, *_OTHERS)) or tars.is_tar(start)


def unpack(
    archive: Path,
    folder: Path,
    contents: Contents,
    limits: ArchiveLimits | None = None,
    *,
    kept_tops: Collection[str] = (),
) -> None:
    """Makes `folder`, and in it the files that `contents` takes. A single folder around all of them goes.

    `kept_tops`: names of a single folder that stays, since it says something.
    Raises EvaluationError `ARCHIVE-...`, or what `contents` raises; then there is no folder.
    """
    folder.mkdir()
    try:
        _unpack_into(archive, folder, contents, limits or ArchiveLimits(), kept_tops)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def unpacked(
    archive: Path,
    contents: Contents,
    limits: ArchiveLimits | None = None,
    *,
    kept_tops: Collection[str] = (),
    beside: Path | None = None,
) -> Iterator[Path]:
    """`unpack` into a temporary folder (in `beside`, or where temporary files go) that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="unpacked-", dir=beside) as place:
        folder = Path(place) / "content"
        unpack(archive, folder, contents, limits, kept_tops=kept_tops)
        yield folder


def contents_of(archive: Path, limits: ArchiveLimits | None = None) -> Contents:
    """Vectors where its names are those of vectors, else a model. Raises EvaluationError `ARCHIVE-...`."""
    found = {path.name for path in names(archive, limits)}
    return VECTORS if "meta.json" in found and sum(map(is_vector_file, found)) > 1 else MODEL


def names(archive: Path, limits: ArchiveLimits | None = None) -> list[PurePosixPath]:
    """The files in it. Raises EvaluationError `ARCHIVE-...`, as unpacking it would."""
    with archive.open("rb") as stream:
        return [member.path for member in _all_members(stream, limits or ArchiveLimits())]


def _unpack_into(
    archive: Path, folder: Path, contents: Contents, limits: ArchiveLimits, kept_tops: Collection[str]
) -> None:
    taken: list[PurePosixPath] = []
    with archive.open("rb") as stream:
        for member in _members(stream, contents, limits):
            _write(member, folder)
            taken.append(member.path)
    if not taken:
        raise refusal("EMPTY", f"holds nothing that is read; put in {contents.example}")
    _strip_top(folder, taken, kept_tops)


def _members(stream: IO[bytes], contents: Contents, limits: ArchiveLimits) -> Iterator[Member]:
    return (member for member in _all_members(stream, limits) if contents.takes(member.path))


def _all_members(stream: IO[bytes], limits: ArchiveLimits) -> Iterator[Member]:
    size = os.fstat(stream.fileno()).st_size
    budget = Budget(size, limits)
    start = stream.read(tars.BLOCK)
    stream.seek(0)
    if start.startswith(_ZIP_MAGICS):
        found = zips.members(stream, size, budget)
    elif tars.is_tar(start):
        found = tars.members(stream, budget)
    else:
        raise _unknown_form(start)
    return (member for member in found if not _is_litter(member.path))


def _unknown_form(start: bytes) -> EvaluationError:
    form = next((name for magic, name in _OTHERS.items() if start.startswith(magic)), "")
    problem = f"is packed as {form}" if form else "is neither a zip nor a tar archive"
    return refusal("FORMAT", f"{problem}; pack it as .zip, .tar or .tar.gz")


def _is_litter(path: PurePosixPath) -> bool:
    """Hidden files, and what macOS and Windows put into archives."""
    return any(part.startswith(".") or part in _LITTER for part in path.parts)


def _write(member: Member, folder: Path) -> None:
    path = folder / member.path
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "wb") as target:
        for piece in member.content():
            target.write(piece)


def _strip_top(folder: Path, taken: list[PurePosixPath], kept_tops: Collection[str]) -> None:
    tops = {path.parts[0] for path in taken}
    if len(tops) > 1 or any(len(path.parts) == 1 for path in taken) or not tops.isdisjoint(kept_tops):
        return
    # Aside first: the folder may hold one of its own name.
    aside = folder / ".top"
    (folder / tops.pop()).rename(aside)
    for path in aside.iterdir():
        path.rename(folder / path.name)
    aside.rmdir()
