"""ir_datasets names: exported once into a BEIR folder in a cache, then read like any other folder.

One reader and one checksum for both roads. `SPARSEBOARD_CACHE` names the cache (default
~/.cache/sparseboard).
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from evaluations.datasets.folder import DECLARATION
from evaluations.datasets.registered import Registered
from evaluations.errors import EvaluationError, EvaluationFailed

Loader = Callable[[str], Any]


def exported_folder(registered: Registered, load: Loader | None = None) -> Path:
    """The folder of a registered dataset, written now if it is not there.

    `load` gives an ir_datasets dataset for its id. Raises EvaluationFailed `DATASET-DOWNLOAD`: a network
    that is away is no fault of the submitter.
    """
    if registered.ir_datasets_id is None:
        raise EvaluationError("DATASET-LICENSED", f"{registered.name} has no public corpus; give a folder")
    folder = cache_folder() / "datasets" / registered.ir_datasets_id.replace("/", "--")
    if not (folder / DECLARATION).is_file():
        try:
            export((load or _ir_dataset)(registered.ir_datasets_id), registered, folder)
        except (
            OSError,
            RuntimeError,
        ) as error:  # requests' errors are OSErrors; ir_datasets' are RuntimeErrors
            message = f"{registered.source} could not be fetched through ir_datasets: {error}"
            raise EvaluationFailed("DATASET-DOWNLOAD", message) from error
    return folder


def cache_folder() -> Path:
    return Path(os.environ.get("SPARSEBOARD_CACHE") or Path.home() / ".cache" / "sparseboard")


def export(source: Any, registered: Registered, folder: Path) -> None:
    """Writes beside the folder and renames: a reader never meets half of a dataset."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        _write_lines(beside / "corpus.jsonl", (_document(record) for record in source.docs_iter()))
        _write_lines(beside / "queries.jsonl", (_query(record) for record in source.queries_iter()))
        _write_qrels(beside / "qrels" / f"{registered.split}.tsv", source.qrels_iter())
        _write_lines(beside / DECLARATION, [_declaration(registered)])
        try:
            beside.rename(folder)
        except OSError:  # another process was faster; its copy holds the same
            if not (folder / DECLARATION).is_file():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _ir_dataset(identifier: str) -> Any:
    import ir_datasets

    return ir_datasets.load(identifier)


def _document(record: Any) -> dict[str, str]:
    return {"_id": record.doc_id, "title": getattr(record, "title", ""), "text": record.text}


def _query(record: Any) -> dict[str, str]:
    return {"_id": record.query_id, "text": record.text}


def _declaration(registered: Registered) -> dict[str, str]:
    return {"name": registered.name, "split": registered.split, "self_hits": registered.self_hits}


def _write_lines(path: Path, records: Iterable[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _write_qrels(path: Path, records: Iterable[Any]) -> None:
    path.parent.mkdir()
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("query-id\tcorpus-id\tscore\n")
        stream.writelines(f"{record.query_id}\t{record.doc_id}\t{record.relevance}\n" for record in records)
