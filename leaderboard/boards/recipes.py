"""The command that reproduces a result, as a person types it: no path of a server, nothing left to guess."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from evaluations.datasets.registered import by_source
from evaluations.systems import KINDS
from leaderboard.catalog.models import Dataset, Revision, RevisionFile


@dataclass(frozen=True)
class Recipe:
    """`command`, and what must be at hand before: `needs` names each thing and the checksum to expect."""

    command: str
    needs: tuple[str, ...]


def recipe(revision: Revision, dataset: Dataset, device: str, upload: RevisionFile | None = None) -> Recipe:
    """For one dataset. `upload`: the run file submitted for it, or the archive of all."""
    words = ["python", "-m", "evaluations", "evaluate"]
    for flag, value in _arguments(revision, dataset, device, upload):
        words += [flag, value]
    return Recipe(_lines(words), tuple(_needs(revision, dataset, upload)))


def download_name(upload: RevisionFile) -> str:
    """What a run file, or an archive, is called once downloaded."""
    stored = str(upload.file.name)
    if upload.dataset is None:
        suffix = next(suffix for suffix in (".zip", ".tar.gz", ".tar") if stored.endswith(suffix))
        return f"{_unpacked(upload.revision)}{suffix}"
    return f"{upload.dataset.name}{'.trec.gz' if stored.endswith('.gz') else '.trec'}"


def _arguments(
    revision: Revision, dataset: Dataset, device: str, upload: RevisionFile | None
) -> Iterator[tuple[str, str]]:
    yield "--system", _system(revision, upload)
    yield from (("--option", setting) for setting in _settings(revision))
    yield from _dataset(dataset)
    if "precision" in revision.options:
        yield "--precision", str(revision.options["precision"])
        yield "--device", "cuda" if device == "gpu" else "cpu"
    yield "--out", f"out/{dataset.name}"


def _system(revision: Revision, upload: RevisionFile | None) -> str:
    if upload is not None and upload.dataset is not None:
        return f"{revision.kind}:{download_name(upload)}"
    if upload is not None:
        exact = f"@{revision.version}" if revision.kind != "vectors" else ""
        return f"{revision.kind}:./{_unpacked(revision)}{exact}"
    version = f"@{revision.version}" if revision.version else ""
    return f"{revision.kind}:{revision.location}{version}" if revision.location else revision.kind


def _unpacked(revision: Revision) -> str:
    """The folder that an archive is unpacked into."""
    return "vectors" if revision.kind == "vectors" else "model"


def _settings(revision: Revision) -> Iterator[str]:
    """Options that differ from the kind's defaults, `precision` apart, which has a flag of its own."""
    kind = KINDS.get(revision.kind)
    defaults = {option.name: option.default for option in kind.options} if kind else {}
    for name, value in sorted(revision.options.items()):
        if name != "precision" and (name not in defaults or value != defaults[name]):
            yield f"{name}={_text(value)}"


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


def _needs(revision: Revision, dataset: Dataset, upload: RevisionFile | None) -> Iterator[str]:
    if revision.location and revision.version.startswith("sha256:"):
        # It was pinned from a folder on the workers' machines, whose checksum the hub does not know.
        yield (
            f"{revision.location} as a folder ORG/NAME in one that SPARSEBOARD_MODELS names, with the files"
            f" listed above; or leave out @{revision.version} to take it from the hub"
        )
    if upload is not None and upload.dataset is None:
        holds = "meta.json, or a folder a dataset," if revision.kind == "vectors" else "config.json"
        yield (
            f"{download_name(upload)}: the submitted archive, sha256 {upload.sha256}, which its owner can"
            f" download from the submission's page; unpack it so that ./{_unpacked(revision)} holds {holds}"
            " itself"
        )
    elif upload is not None:
        yield f"{download_name(upload)}: the submitted run, sha256 {upload.sha256}"
    if by_source(dataset.source) is None:
        yield f"./{dataset.name}: the collection as a BEIR folder; checksums {_checksums(dataset)}"


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
