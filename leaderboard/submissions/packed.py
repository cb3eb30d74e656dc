"""Checking uploaded archives of models and of vectors, by the code that unpacks them for the evaluator."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import File

from evaluations import archives
from evaluations.archives import ArchiveLimits
from evaluations.errors import EvaluationError
from evaluations.inspection import check_safe
from evaluations.systems import Kind, locations, vector_files
from evaluations.systems.base import Value
from evaluations.systems.vector_files import VectorLimits
from leaderboard.catalog.models import Dataset
from leaderboard.submissions import options
from leaderboard.submissions.refusals import Problems
from leaderboard.submissions.runs import (
    ARCHIVE,
    CheckedFile,
    fingerprint,
    judged_queries,
    on_disk,
    shown,
)


@dataclass(frozen=True)
class CheckedArchive:
    """`version`: the checksum of what is in it, however it is packed. `hashes`: file in it to SHA-256.

    `datasets`: of vectors, those that they are of; of a model, none.
    """

    file: CheckedFile
    version: str
    hashes: Mapping[str, str]
    datasets: tuple[Dataset, ...] = ()


def check_archive(
    kind: Kind,
    values: Mapping[str, Value],
    members: Mapping[str, Dataset],
    archive: "File[Any]",
    problems: Problems,
) -> CheckedArchive | None:
    """None where something is wrong, which is then among the problems. `values`: of the kind's options."""
    path, handle = on_disk(archive)
    try:
        if kind.takes == "folder":
            hashes, datasets, warnings = _check_vectors(path, members)
        else:
            form, hashes = _check_model(path, kind)
            datasets, warnings = (), []
            options.check_form(kind, form, values, problems)
    except EvaluationError as error:
        problems.add(ARCHIVE, f"{shown(archive)}: {error.message}.")
    if problems:
        return None
    sha256, is_gzip = fingerprint(path)
    file = CheckedFile(
        dataset=None,
        path=path,
        handle=handle,
        sha256=sha256,
        size_bytes=path.stat().st_size,
        suffix=_suffix(path, is_gzip=is_gzip),
        warnings=tuple(f"{shown(archive)}, {warning}" for warning in warnings),
    )
    return CheckedArchive(file, locations.checksum(hashes), hashes, datasets)


def limits() -> ArchiveLimits:
    return ArchiveLimits(bytes=settings.UNPACKED_LIMIT_BYTES)


def _check_model(path: Path, kind: Kind) -> tuple[str, Mapping[str, str]]:
    """Its form, and the digests of its files."""
    with archives.unpacked(path, archives.MODEL, limits()) as folder:
        return check_safe(folder, kind.name), locations.file_checksums(folder)


def _check_vectors(
    path: Path, members: Mapping[str, Dataset]
) -> tuple[Mapping[str, str], tuple[Dataset, ...], list[str]]:
    with archives.unpacked(path, archives.VECTORS, limits(), kept_tops=members) as folder:
        places = _places(folder, members)
        warnings: list[str] = []
        for name, place in places.items():
            dataset = members[name]
            judged = judged_queries(dataset.source, dataset.split, dataset.qrels_checksum)
            bounds = VectorLimits(bytes=settings.UNPACKED_LIMIT_BYTES)
            found = vector_files.check_vectors(place, judged, bounds)
            warnings += [f"{name}: {warning}" for warning in found]
        datasets = tuple(members[name] for name in members if name in places)
        return vector_files.checksums(folder), datasets, warnings


def _places(folder: Path, members: Mapping[str, Dataset]) -> dict[str, Path]:
    """Dataset to its folder: a sub-folder each, or the one folder of a benchmark's only dataset."""
    if (folder / "meta.json").is_file():
        if len(members) > 1:
            problem = f"it is of one dataset, and the benchmark has {len(members)}"
            advice = f"put the files of each into a folder of its name: {', '.join(members)}"
            raise EvaluationError("VECTORS-FOLDER", f"{problem}; {advice}")
        return dict.fromkeys(members, folder)
    found = {path.parent.name: path.parent for path in sorted(folder.glob("*/meta.json"))}
    unknown = next((name for name in found if name not in members), None)
    if unknown or not found:
        problem = f"the benchmark has no dataset {unknown[:60]!r}" if unknown else "there is no meta.json"
        raise EvaluationError(
            "VECTORS-FOLDER", f"{problem}; name the folders after its datasets: {', '.join(members)}"
        )
    return found


def _suffix(path: Path, *, is_gzip: bool) -> str:
    """By its content, not by the name it was sent under."""
    with path.open("rb") as stream:
        is_zip = stream.read(2) == b"PK"
    return ".zip" if is_zip else ".tar.gz" if is_gzip else ".tar"
