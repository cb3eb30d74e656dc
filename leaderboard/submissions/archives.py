"""Opening a submitter's zip archive. Nothing of it is trusted: names, sizes, or its own directory."""

import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from evaluations.errors import EvaluationError

MAX_MEMBERS = 200
# Runs pack 5 to 20 times; a file of one repeated byte packs 1,000 times.
MAX_RATIO = 100
MAX_UNPACKED_BYTES = 2 * 1024**3
_CHUNK_BYTES = 1 << 20
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_RUN_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)((\.(trec|run|txt|res|tsv))?(\.gz)?)")
_ARCHIVE_NAME = re.compile(r".*\.(zip|tar|tgz|tbz2?|txz|7z|rar|bz2|xz|zst)|.*\.tar\.\w+", re.IGNORECASE)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Unpacked:
    """One member, copied to a temporary file that goes when `handle` does."""

    name: str
    dataset: str
    handle: IO[bytes]

    @property
    def path(self) -> Path:
        return Path(self.handle.name)


def unpack_runs(archive: Path) -> Iterator[Unpacked]:
    """The runs of a zip archive, one for each dataset: `scifact.trec`, `scifact.run.gz`, `scifact.txt`.

    One folder around them is allowed. Every name and size is checked before the first byte is unpacked.
    Raises EvaluationError `ARCHIVE-...`, naming the member.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked_members(opened)
            for info, dataset in members:
                yield Unpacked(info.filename, dataset, _unpacked(opened, info))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise _error(
            "ARCHIVE-DAMAGED", f"is no zip archive or is damaged ({error}); pack it again"
        ) from error


def _checked_members(opened: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, str]]:
    infos = opened.infolist()
    if len(infos) > MAX_MEMBERS:
        raise _error("ARCHIVE-SIZE", f"holds {len(infos):,} members; at most {MAX_MEMBERS} are taken")
    for info in infos:
        _check_safe(info)
    files = [(info, _dataset_of(info)) for info in infos if not _is_litter(info)]
    if not files:
        raise _error(
            "ARCHIVE-EMPTY", "holds no run; put one file for each dataset in it, such as scifact.trec"
        )
    _check_size(infos)
    seen: dict[str, str] = {}
    for info, dataset in files:
        if dataset in seen:
            both = f"{seen[dataset]} and {info.filename}"
            raise _error("ARCHIVE-NAMES", f"holds two runs for {dataset} ({both}); keep one")
        seen[dataset] = info.filename
    return files


def _check_safe(info: zipfile.ZipInfo) -> None:
    name = info.filename
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or ":" in name or ".." in parts or len(parts) > 2:
        raise _member_error(info, "is not a plain name; put the runs at the top of the archive")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _member_error(info, "is a link or a device; put the file itself in")
    if info.flag_bits & _ENCRYPTED:
        raise _member_error(info, "is encrypted; pack it without a password")
    if info.compress_type not in _METHODS:
        raise _member_error(info, "is packed by a method other than deflate; pack it as an ordinary zip")


def _check_size(infos: list[zipfile.ZipInfo]) -> None:
    if sum(info.file_size for info in infos) > MAX_UNPACKED_BYTES:
        raise _error(
            "ARCHIVE-SIZE", f"unpacks to more than {MAX_UNPACKED_BYTES:,} bytes; cut runs at depth 1000"
        )
    for info in infos:
        if info.file_size > MAX_RATIO * max(info.compress_size, _CHUNK_BYTES // MAX_RATIO):
            raise _member_error(info, f"unpacks to over {MAX_RATIO} times its size, which no run does")


def _is_litter(info: zipfile.ZipInfo) -> bool:
    """Folders, and what macOS puts into every archive."""
    path = PurePosixPath(info.filename)
    return info.is_dir() or path.parts[0] == "__MACOSX" or path.name in {".DS_Store", "Thumbs.db"}


def _dataset_of(info: zipfile.ZipInfo) -> str:
    name = PurePosixPath(info.filename).name
    if _ARCHIVE_NAME.fullmatch(name):
        raise _member_error(info, "is an archive within the archive; unpack it first (a single .gz is fine)")
    matched = _RUN_NAME.fullmatch(name)
    if not matched:
        raise _member_error(info, "has no name such as scifact.trec, scifact.run.gz or scifact.txt")
    return matched[1]


def _unpacked(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """A temporary copy. zipfile reads no more than the directory says, and checks the sum at the end."""
    copy = tempfile.NamedTemporaryFile(prefix="run-")  # noqa: SIM115 - it lives as long as `Unpacked`
    with opened.open(info) as member:
        shutil.copyfileobj(member, copy, _CHUNK_BYTES)
    copy.flush()
    return copy


def _member_error(info: zipfile.ZipInfo, problem: str) -> EvaluationError:
    return _error("ARCHIVE-MEMBER", f"member {info.filename[:80]!r} {problem}")


def _error(code: str, problem: str) -> EvaluationError:
    return EvaluationError(code, f"the archive {problem}" if not problem.startswith("member") else problem)
