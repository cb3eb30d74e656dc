"""Seismic: inverted lists in blocks of similar documents, with summaries that tell which blocks to skip.

Source: Bruch et al. 2024, by the authors' package.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from evaluations.latency.engines.base import Engine, Served
from evaluations.search.found import Found

QUERY_CUT, HEAP_FACTOR = 10, 0.8  # as its authors' examples
BLOCK = 65_536  # documents given to it at once
MOST_TERMS = 65_535  # of its usual form, which keeps a term in 16 bits


def _build(documents: "csr_array[Any]", k: int, threads: int) -> Served:
    import seismic

    terms = int(documents.shape[1])
    large = terms > MOST_TERMS
    dataset = (seismic.SeismicDatasetLV if large else seismic.SeismicDataset)(dim=terms)
    for start in range(0, documents.shape[0], BLOCK):
        block = documents[start : start + BLOCK]
        names = [str(row) for row in range(start, start + block.shape[0])]
        dataset.add_documents_by_id(
            names, block.indices.astype(np.int64), block.data, block.indptr.astype(np.int64)
        )
    with _silenced():
        form = seismic.SeismicIndexLV if large else seismic.SeismicIndex
        index = form.build_from_dataset(dataset, num_threads=threads)
        size = _disk_bytes(index)
    text = seismic.get_seismic_string()
    return Served(lambda query: _search(index, query, k, text), size)


@contextmanager
def _silenced() -> Iterator[None]:
    """Its builder writes to standard output, below Python, where a worker reads JSON lines."""
    sys.stdout.flush()
    before = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(before, 1)
        os.close(nowhere)
        os.close(before)


def _search(index: Any, query: Any, k: int, text: Any) -> Found:
    """`query`: a csr_array of one row, or what has `terms` and `weights`."""
    one_row = isinstance(query, csr_array)
    terms, weights = (query.indices, query.data) if one_row else (query.terms, query.weights)
    tokens = np.array([str(term) for term in terms.tolist()], dtype=text)
    hits = index.search("q", tokens, weights, k, QUERY_CUT, HEAP_FACTOR)
    rows = np.array([int(row) for _, _, row in hits], dtype=np.int64)
    return Found(rows, np.array([score for _, score, _ in hits], dtype=np.float32))


def _disk_bytes(index: Any) -> int:
    with tempfile.TemporaryDirectory() as folder:
        index.save(str(Path(folder) / "index"))
        return sum(path.stat().st_size for path in Path(folder).iterdir())


ENGINE = Engine(
    "seismic",
    module="seismic",
    package="pyseismic-lsr",
    parameters={"query_cut": QUERY_CUT, "heap_factor": HEAP_FACTOR},
    build=_build,
)
