"""The folder for the process that runs a submitted model: the corpus, the judged queries, and no qrels."""

import json
import os
import shutil
from pathlib import Path

from evaluations.datasets.dataset import Dataset
from evaluations.datasets.folder import DECLARATION, data_file


def write_blind(source: Path, dataset: Dataset, folder: Path) -> None:
    """Makes `folder`, which must not be there yet, from the folder that `dataset` was read from.

    `queries.jsonl` holds exactly the judged queries that have a text: which of all the queries are judged
    must be known to encode no more than those, and their grades must not.
    """
    folder.mkdir(parents=True)
    corpus = data_file(source, "corpus")
    if corpus is not None:
        _link(corpus, folder / corpus.name)
    with (folder / "queries.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for query_id, text in dataset.queries.items():
            stream.write(json.dumps({"_id": query_id, "text": text}, ensure_ascii=False) + "\n")
    declaration = {"name": dataset.name, "split": dataset.split, "self_hits": dataset.self_hits}
    (folder / DECLARATION).write_text(json.dumps(declaration) + "\n", encoding="utf-8")


def _link(source: Path, target: Path) -> None:
    """A hard link, for a sandbox may see this folder only; a copy where the file system has none."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
