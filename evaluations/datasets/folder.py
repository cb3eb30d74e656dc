"""Reading a folder in BEIR's format: corpus.jsonl[.gz], queries.jsonl[.gz], qrels/<split>.tsv.

The corpus may be absent (such a dataset takes runs and vectors only), and so may `qrels/` (the folder that
is given to the process that runs a submitted model). `dataset.json` may declare name, split and self_hits.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_args

from evaluations.datasets.checksums import ContentChecksum, checksum
from evaluations.datasets.dataset import Checksums, Dataset, Documents, SelfHits
from evaluations.datasets.lines import checked_id, json_objects, malformed, text_field
from evaluations.datasets.qrels import Qrels, read_qrels
from evaluations.datasets.texts import TextStore
from evaluations.errors import EvaluationError

DECLARATION = "dataset.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Declaration:
    """What a folder or a registered name declares about itself. None: not declared."""

    name: str | None = None
    split: str | None = None
    self_hits: SelfHits | None = None


@dataclass
class _Corpus:
    ids: dict[str, None] = field(default_factory=dict)  # ordered, and quick to ask
    texts: TextStore = field(default_factory=TextStore)
    content: ContentChecksum = field(default_factory=ContentChecksum)
    empty: int = 0

    def documents(self) -> Documents:
        return Documents(list(self.ids), self.texts.finished())


def read_folder(folder: Path, wanted: Declaration, *, corpus: bool = True, qrels: bool = True) -> Dataset:
    """The dataset in a folder. What is wanted goes before what the folder declares.

    With `corpus` false the texts are not kept; the corpus is read all the same, since its checksum and ids
    are part of what makes results comparable. Raises EvaluationError `DATASET-...`, naming file and line.
    """
    if not folder.is_dir():
        raise EvaluationError("DATASET-MISSING", f"no such folder: {folder}")
    declared = read_declaration(folder)
    split = wanted.split or declared.split or "test"
    judged = read_qrels(folder, split) if (folder / "qrels").is_dir() else None
    queries, all_queries = _queries(folder, None if judged is None else judged.grades)
    documents = _corpus(folder, keep_texts=corpus)
    shown = judged if qrels else None
    return Dataset(
        name=wanted.name or declared.name or folder.resolve().name,
        split=split,
        documents=documents.documents() if documents and corpus else None,
        document_ids=documents.ids.keys() if documents else None,
        queries=queries,
        qrels=shown.grades if shown else None,
        self_hits=wanted.self_hits or declared.self_hits or "keep",
        checksums=Checksums(
            corpus=documents.content.hexdigest() if documents else None,
            queries=checksum(queries.items()),
            qrels=shown.checksum if shown else None,
        ),
        warnings=tuple(_warnings(documents, queries, all_queries, judged)),
    )


def read_declaration(folder: Path) -> Declaration:
    """The folder's own `dataset.json`, if there is one. Other keys (licence, links) are for people."""
    path = folder / DECLARATION
    if not path.is_file():
        return Declaration()
    try:
        record = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise EvaluationError("DATASET-DECLARATION", f"{DECLARATION}: {error}") from error
    if not isinstance(record, dict):
        raise EvaluationError("DATASET-DECLARATION", f"{DECLARATION}: is not a JSON object")
    for key in ("name", "split", "self_hits"):
        if not isinstance(record.get(key, ""), str):
            raise EvaluationError("DATASET-DECLARATION", f"{DECLARATION}: {key} must be a text")
    if "name" in record and not _NAME.fullmatch(record["name"]):
        raise EvaluationError(
            "DATASET-DECLARATION", f"{DECLARATION}: name may have letters, digits and . _ - /"
        )
    return Declaration(record.get("name"), record.get("split"), self_hits_rule(record.get("self_hits")))


def self_hits_rule(value: str | None) -> SelfHits | None:
    if value is not None and value not in get_args(SelfHits):
        raise EvaluationError("DATASET-SELF-HITS", f"self_hits must be keep or remove, not {value[:40]!r}")
    return cast("SelfHits | None", value)


def data_file(folder: Path, stem: str) -> Path | None:
    """`stem.jsonl` or `stem.jsonl.gz`; both together would leave open which one counts."""
    present = [path for path in (folder / f"{stem}.jsonl", folder / f"{stem}.jsonl.gz") if path.is_file()]
    if len(present) > 1:
        raise EvaluationError("DATASET-FILE", f"{stem}.jsonl and {stem}.jsonl.gz are both there; keep one")
    return present[0] if present else None


def _queries(folder: Path, judged: Mapping[str, object] | None) -> tuple[dict[str, str], set[str]]:
    """The judged queries with text, all of them where there are no qrels; and the ids of all queries."""
    path = data_file(folder, "queries")
    if path is None:
        raise EvaluationError("DATASET-QUERIES", f"{folder.name}: has no queries.jsonl or queries.jsonl.gz")
    queries: dict[str, str] = {}
    seen: set[str] = set()
    for number, record in json_objects(path):
        query_id = checked_id(text_field(record, "_id", path, number), path, number)
        text = text_field(record, "text", path, number)
        if query_id in seen:
            raise malformed(path, number, f"query id {query_id} was there before; ids must differ")
        seen.add(query_id)
        if judged is None or query_id in judged:
            queries[query_id] = text
    if not queries:
        raise EvaluationError("DATASET-QUERIES", f"{path.name}: none of its queries is judged in this split")
    return queries, seen


def _corpus(folder: Path, *, keep_texts: bool) -> _Corpus | None:
    path = data_file(folder, "corpus")
    if path is None:
        return None
    corpus = _Corpus()
    for number, record in json_objects(path):
        document_id = checked_id(text_field(record, "_id", path, number), path, number)
        if document_id in corpus.ids:
            raise malformed(path, number, f"document id {document_id} was there before; ids must differ")
        title = text_field(record, "title", path, number, default="")
        text = text_field(record, "text", path, number)
        corpus.content.add(document_id, title, text)
        joined = f"{title} {text}".strip()
        corpus.empty += not joined
        corpus.ids[document_id] = None
        if keep_texts:
            corpus.texts.append(joined)
    if not corpus.ids:
        raise EvaluationError(
            "DATASET-CORPUS", f"{path.name}: has no documents; leave it out for a runs-only dataset"
        )
    return corpus


def _warnings(
    corpus: _Corpus | None, queries: Mapping[str, str], all_queries: set[str], judged: Qrels | None
) -> Iterator[str]:
    if corpus and corpus.empty:
        yield f"{corpus.empty} of {len(corpus.ids)} documents are empty; they are kept"
    if empty := sum(not text.strip() for text in queries.values()):
        yield f"{empty} of {len(queries)} judged queries have an empty text"
    if judged is None:
        return
    if missing := [query_id for query_id in judged.grades if query_id not in all_queries]:
        yield f"{len(missing)} judged queries have no text and score 0, such as {missing[0]}"
    if judged.repeated:
        yield f"{judged.repeated} judgements of the qrels are there more than once with the same grade"
    judged_documents = {document for grades in judged.grades.values() for document in grades}
    if corpus and (absent := judged_documents - corpus.ids.keys()):
        yield f"{len(absent)} judged documents are not in the corpus, such as {min(absent)}"
