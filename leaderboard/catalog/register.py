"""Putting datasets into the catalogue: what the command, the demo and the tests call."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction

from evaluations import datasets as library
from evaluations.protocol import retrieval_protocol

from .errors import CatalogueError
from .models import Benchmark, Dataset
from .names import dataset_name
from .signals import benchmark_changed

__all__ = ["CatalogueError", "Registration", "register_dataset"]

CHECKSUMS = ("corpus_checksum", "queries_checksum", "qrels_checksum")
IDENTITY = ("split", *CHECKSUMS, "self_hits")


@dataclass(frozen=True)
class Registration:
    """What became of a dataset that was to be added; `notes` say what was changed in a row that was there."""

    dataset: Dataset
    created: bool
    notes: tuple[str, ...] = ()


def register_dataset(
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    split: str | None = None,
    self_hits: str | None = None,
    licence: str = "",
    new_version: bool = False,
) -> Registration:
    """Load, check and store a dataset. The same content again changes nothing.

    Raises EvaluationError where it cannot be read, CatalogueError where its name is taken by other content
    and `new_version` is false.
    """
    found = examine(source, name=name, split=split, self_hits=self_hits, licence=licence)
    with transaction.atomic():
        namesakes = list(Dataset.objects.select_for_update().filter(name=found.name))
        for row in namesakes:
            if all(getattr(row, key) == getattr(found, key) for key in IDENTITY):
                return _refresh(row, found)
        if namesakes and not new_version:
            raise CatalogueError(_clash(namesakes[0], found))
        found.save(force_insert=True)
    return Registration(found, created=True)


def describe(registration: Registration) -> str:
    """One line for the operator."""
    row = registration.dataset
    corpus = "no corpus" if row.documents is None else f"{row.documents} documents"
    deed = "added" if registration.created else "updated" if registration.notes else "was there already"
    return (
        f"{row.name} {deed}: {corpus}, {row.queries} judged queries, {row.judgements} judgements,"
        f" split {row.split}, self-hits {row.self_hits}, protocol {row.protocol}"
    )


def examine(
    source: str | os.PathLike[str],
    *,
    name: str | None,
    split: str | None,
    self_hits: str | None,
    licence: str,
) -> Dataset:
    """The row a dataset would get, not stored. Without `split` and `self_hits` its own declaration counts."""
    address = absolute(source)
    loaded = library.load(address, split=split, self_hits=self_hits, corpus=False)
    if loaded.qrels is None or loaded.checksums.qrels is None:
        raise CatalogueError(f"{address} has no qrels folder: without judgements nothing can be scored on it")
    row = Dataset(
        name=dataset_name(name or loaded.name),
        split=loaded.split,
        source=address,
        self_hits=loaded.self_hits,
        corpus_checksum=loaded.checksums.corpus or "",
        queries_checksum=loaded.checksums.queries,
        qrels_checksum=loaded.checksums.qrels,
        documents=loaded.document_count,
        queries=len(loaded.qrels),
        judgements=sum(len(grades) for grades in loaded.qrels.values()),
        licence=licence,
        protocol=retrieval_protocol(loaded).hash,
        warnings=[*loaded.warnings, *_doubts(loaded)],
    )
    _check_lengths(row)
    return row


def _doubts(loaded: library.Dataset) -> Iterator[str]:
    """A folder with a registered name that is read by other rules gives other numbers than that dataset."""
    registered = library.REGISTERED.get(loaded.name)
    if registered and loaded.self_hits != registered.self_hits:
        yield f"self-hits: {loaded.self_hits}; the registered {loaded.name} declares {registered.self_hits}"
    if registered and loaded.split != registered.split:
        yield f"split: {loaded.split}; the registered {loaded.name} declares {registered.split}"


def _check_lengths(row: Dataset) -> None:
    """SQLite stores any length; PostgreSQL would answer with a traceback."""
    try:
        row.clean_fields(exclude=["documents"])  # empty where there is no corpus
    except ValidationError as error:
        details = "; ".join(f"{key}: {' '.join(messages)}" for key, messages in error.message_dict.items())
        raise CatalogueError(f"{row.name} cannot be stored: {details}") from error


def absolute(source: str | os.PathLike[str]) -> str:
    """Workers run elsewhere than this command: a folder is stored by its whole path, a name as it is."""
    folder = Path(source).expanduser()
    return str(folder.resolve()) if folder.is_dir() else str(source)


def _refresh(row: Dataset, found: Dataset) -> Registration:
    """A row keeps its identity; where it lies, and what the definitions make of it, may have moved on."""
    moved = [
        key
        for key in ("source", "licence", "protocol", "warnings")
        if getattr(found, key) != getattr(row, key) and (key != "licence" or found.licence)
    ]
    notes = tuple(
        f"{key} was {getattr(row, key) or 'empty'}, is {getattr(found, key) or 'empty'}" for key in moved
    )
    for key in moved:
        setattr(row, key, getattr(found, key))
    if moved:
        row.save(update_fields=moved)
    if "protocol" in moved:
        for benchmark in row.benchmarks.all():
            benchmark_changed.send(sender=Benchmark, benchmark=benchmark)
    return Registration(row, created=False, notes=notes)


def _clash(row: Dataset, found: Dataset) -> str:
    differing = [key for key in IDENTITY if getattr(row, key) != getattr(found, key)]
    details = ", ".join(f"{_label(key)} {_value(row, key)} became {_value(found, key)}" for key in differing)
    return (
        f"{found.name} is in the catalogue with other content ({details}): give --name for another dataset,"
        " or --new-version to keep both (benchmarks keep the one they have)"
    )


def _label(key: str) -> str:
    return key.replace("_", " ")


def _value(row: Dataset, key: str) -> str:
    text = str(getattr(row, key))
    return (text[:12] if key in CHECKSUMS else text) or "(none)"
