"""The files beside the report: each written whole or not at all, the same results as the same bytes."""

import gzip
import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.systems.base import Run

RUN = "run.trec.gz"
PER_QUERY = "per_query.parquet"


def write_run(folder: Path, run: Run, tag: str, name: str = RUN) -> None:
    """`run.trec.gz`, queries in the order of their ids. Nine digits give a float32 back exactly."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as stream:
        for query_id in sorted(run.lists):
            ranked = run.lists[query_id]
            pairs = zip(ranked.document_ids, ranked.scores.tolist(), strict=True)
            for rank, (document_id, score) in enumerate(pairs, start=1):
                stream.write(f"{query_id} Q0 {document_id} {rank} {score:.9g} {tag}\n".encode())
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / name, buffer.getvalue())


def write_per_query(folder: Path, per_query: Mapping[str, Mapping[str, float]], query_ids: list[str]) -> None:
    """`per_query.parquet`: `query_id`, and one column of float64 a measure, a row for every judged query."""
    import pyarrow

    columns = {
        name: pyarrow.array([values[query] for query in query_ids]) for name, values in per_query.items()
    }
    write_table(folder / PER_QUERY, {"query_id": pyarrow.array(query_ids, pyarrow.string()), **columns})


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """A parquet file of columns that are pyarrow's arrays, all of one length."""
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(columns)), buffer)
    write_atomically(path, buffer.getvalue())


def write_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """A `.npy` file each, by its name."""
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        write_atomically(folder / name, buffer.getvalue())


def write_atomically(path: Path, content: bytes) -> None:
    """Writes beside the file, syncs, renames. A reader meets the old content or the new, never a part."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
        beside = Path(stream.name)
        try:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            beside.chmod(0o644)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
