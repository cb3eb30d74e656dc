"""From what a person names to its inspection."""

from pathlib import Path

from evaluations import archives
from evaluations.archives import ArchiveLimits, Contents
from evaluations.errors import EvaluationError
from evaluations.inspection.folder import inspect_folder
from evaluations.inspection.inspection import Inspection
from evaluations.systems import locations
from evaluations.systems.trec import RunLimits, read_run

_A_FEW_LINES = RunLimits(lines=100)


def inspect_location(location: str) -> Inspection:
    """A folder, an archive, a run file, or a hub id ORG/NAME[@REVISION].

    Raises EvaluationError for what is none of them, EvaluationFailed `HUB-UNREACHABLE`.
    """
    path = Path(location).expanduser()
    if path.is_dir():
        return inspect_folder(path, location=location)
    if path.is_file():
        if archives.is_archive(path) and not _is_run(path):
            return inspect_archive(path)
        return _inspect_file(path, location)
    identity, _, revision = location.partition("@")
    local = locations.folder_here(identity, allow_path=True)
    if local is not None:
        return inspect_folder(local, location=location)
    from evaluations.inspection.hub import inspect_hub  # here, since it brings the hub's client

    return inspect_hub(identity, revision or None)


def inspect_model(location: str, revision: str | None = None, *, kind: str | None = None) -> Inspection:
    """A hub id, never a path. `kind`: what it is to be loaded as, where that is settled.

    Raises EvaluationError `MODEL-...`, EvaluationFailed `HUB-UNREACHABLE`.
    """
    local = locations.folder_here(location, allow_path=False)
    if local is not None:
        return inspect_folder(local, location=location, what="hub id", kind=kind)
    from evaluations.inspection.hub import inspect_hub  # here, since it brings the hub's client

    return inspect_hub(location, revision, kind=kind)


def inspect_archive(
    archive: Path, *, shown: str = "", contents: Contents | None = None, limits: ArchiveLimits | None = None
) -> Inspection:
    """`contents` None: as its names suggest. What is refused is in `why`."""
    location = shown or str(archive)
    try:
        chosen = contents or archives.contents_of(archive, limits)
        with archives.unpacked(archive, chosen, limits) as folder:
            return inspect_folder(folder, location=location, what="archive")
    except EvaluationError as error:
        return Inspection(location, "archive", None, "it cannot be unpacked", False, str(error))


def _is_run(path: Path) -> bool:
    """gzip may be a tar archive or a run."""
    return path.suffix == ".gz" and not path.name.endswith(".tar.gz") and not _refusal_of_run(path)


def _inspect_file(path: Path, location: str) -> Inspection:
    why = _refusal_of_run(path)
    because = "its first lines are those of a TREC run" if not why else "neither an archive nor a run"
    size = path.stat().st_size
    return Inspection(
        location, "file", None if why else "run", because, not why, why, files=1, size_bytes=size
    )


def _refusal_of_run(path: Path) -> str:
    """Why the first lines are not those of a run; empty where they are."""
    try:
        read_run(path, (), _A_FEW_LINES, may_be_empty=True)
    except EvaluationError as error:
        return "" if error.code in ("RUN-SIZE", "RUN-QUERIES") else str(error)
    return ""
