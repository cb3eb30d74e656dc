"""The runs of a submitter's zip archive: names are checked here, all else by the reader of every archive."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from evaluations.archives import ArchiveLimits
from evaluations.archives.limits import Budget, member_refusal, refusal
from evaluations.archives.members import Member
from evaluations.archives.zips import members
from evaluations.errors import EvaluationError

MAX_MEMBERS = 200
# Runs pack 5 to 20 times; a file of one repeated byte packs 1,000 times.
MAX_RATIO = 100
SPARE_BYTES = 1 << 20
MAX_UNPACKED_BYTES = 2 * 1024**3
_RUN_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)((\.(trec|run|txt|res|tsv))?(\.gz)?)")
_ARCHIVE_NAME = re.compile(r".*\.(zip|tar|tgz|tbz2?|txz|7z|rar|bz2|xz|zst)|.*\.tar\.\w+", re.IGNORECASE)


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

    One folder around them is allowed. Every name is checked before the first byte is unpacked.
    Raises EvaluationError `ARCHIVE-...`, naming the member.
    """
    size = archive.stat().st_size
    limits = ArchiveLimits(MAX_UNPACKED_BYTES, SPARE_BYTES, MAX_RATIO, MAX_MEMBERS, depth=2)
    with archive.open("rb") as stream:
        files = [each for each in members(stream, size, Budget(size, limits)) if not _is_litter(each.path)]
        if not files:
            raise refusal("EMPTY", "holds no run; put one file for each dataset in it, such as scifact.trec")
        for member, dataset in zip(files, _datasets(files), strict=True):
            yield Unpacked(str(member.path), dataset, _copied(member))


def _datasets(files: Sequence[Member]) -> list[str]:
    """The dataset of each, as its name says."""
    seen: dict[str, PurePosixPath] = {}
    for member in files:
        dataset = _dataset_of(member.path)
        if dataset in seen:
            both = f"{seen[dataset]} and {member.path}"
            raise refusal("NAMES", f"holds two runs for {dataset} ({both}); keep one")
        seen[dataset] = member.path
    return list(seen)


def _is_litter(path: PurePosixPath) -> bool:
    """What macOS and Windows put into every archive."""
    return path.parts[0] == "__MACOSX" or path.name in {".DS_Store", "Thumbs.db"}


def _dataset_of(path: PurePosixPath) -> str:
    if _ARCHIVE_NAME.fullmatch(path.name):
        problem = "is an archive within the archive; unpack it first (a single .gz is fine)"
        raise _misnamed(path, problem)
    matched = _RUN_NAME.fullmatch(path.name)
    if not matched:
        raise _misnamed(path, "has no name such as scifact.trec, scifact.run.gz or scifact.txt")
    return matched[1]


def _copied(member: Member) -> IO[bytes]:
    copy = tempfile.NamedTemporaryFile(prefix="run-")  # noqa: SIM115 - it lives as long as `Unpacked`
    for piece in member.content():
        copy.write(piece)
    copy.flush()
    return copy


def _misnamed(path: PurePosixPath, problem: str) -> EvaluationError:
    return member_refusal("MEMBER", str(path), problem)
