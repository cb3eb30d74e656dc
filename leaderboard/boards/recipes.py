"""The command that reproduces a result, as a person types it: no path of a server, nothing left to guess."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from evaluations.datasets.registered import by_source
from leaderboard.catalog.members import Part
from leaderboard.catalog.models import Dataset, Revision, RevisionFile

Uploads = Mapping[UUID, RevisionFile]  # the run submitted for this dataset, or the archive, by revision


@dataclass(frozen=True)
class Recipe:
    """`command`, and what must be at hand before: `needs` names each thing and the checksum to expect.

    `files`: name and content of what the command reads, where flags do not say it all.
    """

    command: str
    needs: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()


def recipe(
    revision: Revision,
    dataset: Dataset,
    device: str,
    uploads: Uploads | None = None,
    sweeps: Sequence[str] = (),
    checkpoints: Mapping[str, Part] = MappingProxyType({}),
) -> Recipe:
    """For one dataset. `uploads`: run files and archives, of the revision, its members and checkpoints.

    `checkpoints`: what `sweeps` average the model with, by the names in their values.
    """
    own, *members = _named(revision, uploads or {})
    averaged = _averaged(checkpoints, uploads or {})
    in_file = any(member.part.settings for member in members)
    name = f"{own.part.kind}.json"
    flags = [("--system", name)] if in_file else list(_flags(own, members))
    words = ["python", "-m", "evaluations", "evaluate"]
    for flag, value in [*flags, *_where(revision, dataset, device, in_file=in_file)]:
        words += [flag, value]
    for curve in sweeps:
        words += ["--sweep", curve]
    for called, named in averaged.items():
        words += ["--checkpoint", f"{called}={named.located}"]
    files = ((name, _file(own, members)),) if in_file else ()
    needs = _needs([own, *members, *averaged.values()], dataset)
    return Recipe(_lines(words), tuple(needs), files)


def download_name(upload: RevisionFile) -> str:
    """What a run file, or an archive, is called once downloaded."""
    stored = str(upload.file.name)
    if upload.dataset is None:
        suffix = next(suffix for suffix in (".zip", ".tar.gz", ".tar") if stored.endswith(suffix))
        return f"{_unpacked(upload.revision.kind)}{suffix}"
    return f"{upload.dataset.name}{'.trec.gz' if stored.endswith('.gz') else '.trec'}"


@dataclass(frozen=True)
class _Named:
    """A part of the system, and its run file or archive with the name that the command gives it.

    `place`: 0 for the whole, the number of a member, or of a checkpoint, else.
    """

    part: Part
    upload: RevisionFile | None
    place: int
    role: str = "member"

    @property
    def is_archive(self) -> bool:
        return self.upload is not None and self.upload.dataset is None

    @property
    def prefix(self) -> str:
        return f"{self.role}-{self.place}-" if self.place else ""

    @property
    def file(self) -> str:
        """What was uploaded, as it is called once downloaded; two members' are told apart."""
        return f"{self.prefix}{download_name(self.upload)}" if self.upload else ""

    @property
    def folder(self) -> str:
        return f"./{self.prefix}{_unpacked(self.part.kind)}"

    @property
    def location(self) -> str:
        return self.folder if self.is_archive else self.file or self.part.location

    @property
    def version(self) -> str:
        """That of runs and of vectors is of all their files together; a folder of one dataset has another."""
        return "" if self.part.kind in ("run", "vectors") else self.part.version

    @property
    def located(self) -> str:
        """Its location at its version."""
        return f"{self.location}@{self.version}" if self.version else self.location

    def __str__(self) -> str:
        """As `--system` takes it."""
        return f"{self.part.kind}:{self.located}" if self.location else self.part.kind


def _named(revision: Revision, uploads: Uploads) -> Iterator[_Named]:
    for place, part in enumerate(revision.parts):
        yield _Named(part, uploads.get(part.revision) if part.revision else None, place)


def _averaged(checkpoints: Mapping[str, Part], uploads: Uploads) -> dict[str, _Named]:
    return {
        name: _Named(part, uploads.get(part.revision) if part.revision else None, place, "checkpoint")
        for place, (name, part) in enumerate(checkpoints.items(), start=1)
    }


def _flags(own: _Named, members: Sequence[_Named]) -> Iterator[tuple[str, str]]:
    yield "--system", str(own)
    flag = "--first-stage" if own.part.kind == "rerank" else "--member"
    yield from ((flag, str(member)) for member in members)
    for name, value in own.part.settings.items():
        if name != "precision":  # it has a flag of its own
            yield "--option", f"{name}={_text(value)}"


def _file(own: _Named, members: Sequence[_Named]) -> str:
    """A system file, for members with settings of their own: a flag has no place for those."""
    whole = _record(own) | {"members": [_record(member) for member in members]}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def _record(named: _Named) -> dict[str, Any]:
    found = {
        "kind": named.part.kind,
        "location": named.location,
        "revision": named.version,
        "options": named.part.settings,
    }
    return {key: value for key, value in found.items() if value}


def _where(revision: Revision, dataset: Dataset, device: str, *, in_file: bool) -> Iterator[tuple[str, str]]:
    yield from _dataset(dataset)
    if "precision" in revision.options and not in_file:
        yield "--precision", str(revision.options["precision"])
    if any("precision" in part.options for part in revision.parts):
        yield "--device", "cuda" if device == "gpu" else "cpu"
    yield "--out", f"out/{dataset.name}"


def _unpacked(kind: str) -> str:
    """The folder that an archive is unpacked into."""
    return "vectors" if kind == "vectors" else "model"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def _dataset(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """A registered name brings its split and its rule for self-hits; a folder is told both."""
    registered = by_source(dataset.source)
    yield "--dataset", dataset.source if registered else f"./{dataset.name}"
    if dataset.split != (registered.split if registered else "test"):
        yield "--split", dataset.split
    if dataset.self_hits != (registered.self_hits if registered else "keep"):
        yield "--self-hits", dataset.self_hits


def _needs(parts: Sequence[_Named], dataset: Dataset) -> Iterator[str]:
    for named in parts:
        part = named.part
        if part.location and part.version.startswith("sha256:"):
            # It was pinned from a folder on the workers' machines, whose checksum the hub does not know.
            yield (
                f"{part.location} as a folder ORG/NAME in one that SPARSEBOARD_MODELS names, with the files"
                f" {_listed(named)}; or leave out @{part.version} to take it from the hub"
            )
        of = f" of {part.name}" if part.name else ""
        if named.is_archive and named.upload:
            holds = "meta.json, or a folder a dataset," if part.kind == "vectors" else "config.json"
            yield (
                f"{named.file}: the submitted archive{of}, sha256 {named.upload.sha256}, which only its"
                f" owner can download, from the submission's page; unpack it so that {named.folder} holds"
                f" {holds} itself"
            )
        elif named.upload:
            yield f"{named.file}: the submitted run{of}, sha256 {named.upload.sha256}"
    if by_source(dataset.source) is None:
        yield f"./{dataset.name}: the collection as a BEIR folder; checksums {_checksums(dataset)}"


def _listed(named: _Named) -> str:
    return f"listed on the page of {named.part.name}" if named.role == "checkpoint" else "listed above"


def _checksums(dataset: Dataset) -> str:
    parts = {
        "corpus": dataset.corpus_checksum,
        "queries": dataset.queries_checksum,
        "qrels": dataset.qrels_checksum,
    }
    return ", ".join(f"{name} {value[:16]}" for name, value in parts.items() if value)


def _lines(words: list[str]) -> str:
    """One flag a line, as people read long commands."""
    head, rest = words[:4], words[4:]
    flags = [f"{rest[i]} {shlex.quote(rest[i + 1])}" for i in range(0, len(rest), 2)]
    return " \\\n    ".join([" ".join(head), *flags])
