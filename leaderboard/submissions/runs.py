"""Checking uploaded run files, by the evaluator's own strict reader, before anything is queued."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.uploadedfile import TemporaryUploadedFile

from evaluations import datasets
from evaluations.datasets.qrels import read_qrels
from evaluations.errors import EvaluationError
from evaluations.systems.trec import RunLimits, read_run
from leaderboard.catalog.models import Dataset
from leaderboard.submissions.archives import unpack_runs
from leaderboard.submissions.refusals import Problems

ARCHIVE = "archive"
CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
# A reader of the web process holds a run in memory: 1000 documents for each of MS MARCO's 6,980 queries fit.
LIMITS = RunLimits(bytes=2**30, lines=8_000_000)


Handle = object  # a temporary file that is deleted when nothing refers to it any more


@dataclass(frozen=True)
class CheckedFile:
    """A file that was read whole and found right: a run, or an archive, which is of no one dataset.

    `handle` keeps its temporary file alive.
    """

    dataset: Dataset | None
    path: Path
    handle: Handle
    sha256: str
    size_bytes: int
    suffix: str
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its dataset."""
        return self.dataset.name if self.dataset else ARCHIVE


@dataclass(frozen=True)
class _Candidate:
    """A file that may be a run, not read yet. `name` as the submitter wrote it."""

    field: str
    name: str
    dataset: str
    path: Path
    handle: Handle


def file_field(dataset: str) -> str:
    """The form's field for the run of a dataset."""
    return f"file-{dataset}"


def check_runs(
    members: Mapping[str, Dataset],
    files: Mapping[str, "File[Any]"],
    archive: "File[Any] | None",
    problems: Problems,
) -> tuple[CheckedFile, ...]:
    """The runs of single uploads and of an archive, at most one for each dataset in `members`."""
    checked: dict[str, CheckedFile] = {}
    for candidate in _candidates(files, archive, problems):
        if candidate.dataset not in members:
            there = ", ".join(members)
            unknown = f"the benchmark has no dataset {candidate.dataset[:60]!r}; it has: {there}"
            problems.add(candidate.field, f"{candidate.name}: {unknown}")
        elif candidate.dataset in checked:
            problems.add(
                candidate.field, f"{candidate.name}: there are two runs for {candidate.dataset}; send one"
            )
        elif found := _checked(candidate, members[candidate.dataset], problems):
            checked[candidate.dataset] = found
    if not checked and not problems:
        problems.add(
            ARCHIVE, "A run submission needs a run: upload one for at least one dataset, or a zip of them."
        )
    return tuple(checked[name] for name in members if name in checked)


def combined_version(files: tuple[CheckedFile, ...]) -> str:
    """One hash for all of a revision's files, as the command line writes those of one file."""
    lines = "\n".join(sorted(f"{each.name} {each.sha256}" for each in files))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()[:16]}"


def _candidates(
    files: Mapping[str, "File[Any]"], archive: "File[Any] | None", problems: Problems
) -> Iterator[_Candidate]:
    for dataset, upload in files.items():
        path, handle = on_disk(upload)
        yield _Candidate(file_field(dataset), shown(upload), dataset, path, handle)
    if archive is None:
        return
    packed, _kept = on_disk(archive)
    try:
        for run in unpack_runs(packed):
            yield _Candidate(ARCHIVE, f"{shown(archive)}, {run.name}", run.dataset, run.path, run.handle)
    except EvaluationError as error:
        problems.add(ARCHIVE, f"{shown(archive)}: {error.message}")


def _checked(candidate: _Candidate, dataset: Dataset, problems: Problems) -> CheckedFile | None:
    try:
        judged = judged_queries(dataset.source, dataset.split, dataset.qrels_checksum)
        run = read_run(candidate.path, judged, limits=LIMITS)
    except EvaluationError as error:
        problems.add(candidate.field, f"{candidate.name}: {error.message}")
        return None
    sha256, is_gzip = fingerprint(candidate.path)
    return CheckedFile(
        dataset=dataset,
        path=candidate.path,
        handle=candidate.handle,
        sha256=sha256,
        size_bytes=candidate.path.stat().st_size,
        suffix=".trec.gz" if is_gzip else ".trec",
        warnings=tuple(f"{candidate.name}: {warning}" for warning in run.warnings),
    )


@lru_cache(maxsize=64)
def judged_queries(source: str, split: str, checksum: str) -> frozenset[str]:  # noqa: ARG001
    """Ids of the queries that count. The checksum is there for the cache: changed qrels are other qrels."""
    folder, _ = datasets.locate(source)
    return frozenset(read_qrels(folder, split).grades)


def on_disk(upload: "File[Any]") -> tuple[Path, Handle]:
    """Where the upload lies, and what keeps it there: a temporary copy unless it is in a file already."""
    if isinstance(upload, TemporaryUploadedFile):
        return Path(upload.temporary_file_path()), upload
    copy = tempfile.NamedTemporaryFile(prefix="upload-")  # noqa: SIM115 - it lives as long as the candidate
    upload.seek(0)
    while chunk := upload.read(CHUNK_BYTES):
        copy.write(chunk)
    copy.flush()
    return Path(copy.name), copy


def shown(upload: "File[Any]") -> str:
    return Path(upload.name or "the upload").name[:80]


def fingerprint(path: Path) -> tuple[str, bool]:
    """SHA-256 of a file, and whether it is gzip."""
    with path.open("rb") as stream:
        is_gzip = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest(), is_gzip
