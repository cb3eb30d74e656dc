"""Makers of rows and small BEIR folders, shared by all tests. Every argument has a valid default."""

import json
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from evaluations.protocol import retrieval_hash_of
from leaderboard.accounts.models import User
from leaderboard.catalog import benchmarks
from leaderboard.catalog.models import Benchmark, BenchmarkDataset, Dataset, Revision, System
from leaderboard.catalog.register import register_dataset
from leaderboard.submissions.models import Evaluation, State, Submission, Track

_numbers = count(1)

PETS = {
    "d1": ("Cats", "The cat sat on the mat and purred."),
    "d2": ("Dogs", "A dog barked at the cat."),
    "d3": ("Fish", "Goldfish swim in a bowl."),
}
PET_QUERIES = {"q1": "purring cat", "q2": "swimming goldfish"}
PET_QRELS = {("q1", "d1"): 2, ("q1", "d2"): 1, ("q1", "d3"): 0, ("q2", "d3"): 1}


def make_folder(
    folder: Path,
    *,
    documents: Mapping[str, tuple[str, str]] | None = PETS,
    queries: Mapping[str, str] = PET_QUERIES,
    qrels: Mapping[tuple[str, str], int] = PET_QRELS,
    split: str = "test",
) -> Path:
    """Write a BEIR-format folder; `documents=None` leaves the corpus out."""
    (folder / "qrels").mkdir(parents=True)
    if documents is not None:
        rows = ({"_id": key, "title": title, "text": text} for key, (title, text) in documents.items())
        lines = (json.dumps(row) + "\n" for row in rows)
        (folder / "corpus.jsonl").write_text("".join(lines), encoding="utf-8")
    lines = (json.dumps({"_id": key, "text": text}) + "\n" for key, text in queries.items())
    (folder / "queries.jsonl").write_text("".join(lines), encoding="utf-8")
    grades = (f"{query}\t{document}\t{grade}\n" for (query, document), grade in qrels.items())
    (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(grades))
    return folder


def add_dataset(source: str | Path, **options: Any) -> Dataset:
    """A dataset as the operator's command adds it: read, checked, with its checksums."""
    return register_dataset(source, **options).dataset


def add_benchmark(name: str, datasets: Sequence[str] = (), **options: Any) -> Benchmark:
    return benchmarks.put(name, datasets, **options).benchmark


def make_user(username: str = "alice", **fields: Any) -> User:
    return User.objects.create_user(username=username, password="correct horse battery", **fields)


def make_dataset(name: str = "", *, has_corpus: bool = True, **fields: Any) -> Dataset:
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "name": name or f"dataset-{number}",
        "source": "mini",
        "corpus_checksum": f"{number:064x}" if has_corpus else "",
        "queries_checksum": f"{number + 1:064x}",
        "qrels_checksum": f"{number + 2:064x}",
        "documents": 3 if has_corpus else None,
        "queries": 2,
        "judgements": 4,
    }
    dataset = Dataset(**defaults | fields)
    dataset.protocol = dataset.protocol or retrieval_hash_of(data_facts(dataset), dataset.qrels_checksum)
    dataset.save()
    return dataset


def data_facts(dataset: Dataset) -> dict[str, Any]:
    """What a latency protocol says of a catalogue's data."""
    return {
        "corpus": dataset.corpus_checksum or None,
        "queries": dataset.queries_checksum,
        "qrels": None,
        "split": dataset.split,
        "self_hits": dataset.self_hits,
        "text_template": "{title} {text}, stripped",
        "depth": 1000,
        "order_rule": "by score",
        "definitions_version": 1,
    }


def make_benchmark(name: str = "", datasets: Sequence[Dataset] | None = None, **fields: Any) -> Benchmark:
    name = name or f"benchmark-{next(_numbers)}"
    benchmark = Benchmark.objects.create(name=name, title=fields.pop("title", name), **fields)
    for position, dataset in enumerate(datasets if datasets is not None else [make_dataset()]):
        BenchmarkDataset.objects.create(benchmark=benchmark, dataset=dataset, position=position)
    return benchmark


def make_system(owner: User | None = None, **fields: Any) -> System:
    defaults: dict[str, Any] = {"name": f"system-{next(_numbers)}", "family": "lexical"}
    return System.objects.create(owner=owner or make_user(f"owner-{next(_numbers)}"), **defaults | fields)


def make_revision(system: System | None = None, **fields: Any) -> Revision:
    defaults: dict[str, Any] = {"kind": "bm25", "content_hash": f"{next(_numbers):064x}"}
    return Revision.objects.create(system=system or make_system(), **defaults | fields)


def make_submission(
    *,
    owner: User | None = None,
    benchmark: Benchmark | None = None,
    revision: Revision | None = None,
    tracks: Sequence[Track] = (Track.RETRIEVAL, Track.SPARSITY),
    state: State = State.QUEUED,
    **fields: Any,
) -> Submission:
    """A submission with one evaluation for each dataset of its benchmark and each track."""
    benchmark = benchmark or make_benchmark()
    revision = revision or make_revision(make_system(owner))
    submission = Submission.objects.create(
        owner=owner or revision.system.owner, benchmark=benchmark, revision=revision, **fields
    )
    for member in benchmark.members():
        for track in tracks:
            Evaluation.objects.create(submission=submission, dataset=member.dataset, track=track, state=state)
    return submission
