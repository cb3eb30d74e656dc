"""FLOPS over several datasets' vectors taken together: a table of counts a dataset, kept beside its report.

A table has shape (2, 1 + V), rows for queries and documents: how many vectors there are, then in how many of
them each dimension is non-zero. Tables can be added where the dimensions mean the same everywhere.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from evaluations.errors import EvaluationError
from evaluations.sparsity.representation import VectorCounts, flops
from evaluations.tracks import Findings

DIMENSION_COUNTS = "dimension_counts.npy"
MAX_BYTES = 64 * 1024 * 1024

Table = NDArray[np.uint32]


def counts_table(queries: VectorCounts, documents: VectorCounts) -> Findings:
    rows = [np.concatenate([[len(side)], side.frequency]) for side in (queries, documents)]
    return Findings(arrays={DIMENSION_COUNTS: np.array(rows, dtype=np.uint32)})


def pooled_flops(tables: Sequence[Table]) -> float | None:
    """Of the datasets' tables added up; None where they are of different vocabularies, or there are none."""
    if len({table.shape for table in tables}) != 1:
        return None
    total = np.sum([table.astype(np.int64) for table in tables], axis=0)
    queries, documents = total
    return flops(queries[1:] / queries[0], documents[1:] / documents[0])


def read_table(stream: IO[bytes], name: str = DIMENSION_COUNTS) -> Table:
    """Of a file that the process of a submitted model wrote. Raises EvaluationError `VECTORS-FORMAT`."""
    from evaluations.systems.vector_files.npy import read_header

    content = stream.read(MAX_BYTES + 1)
    header = read_header(io.BytesIO(content), Path(name))
    fits = len(content) == header.offset + header.payload_bytes and header.dtype == np.dtype("<u4")
    if not fits or header.is_fortran or len(header.shape) != 2 or header.shape[0] != 2 or header.shape[1] < 2:
        raise EvaluationError("VECTORS-FORMAT", f"{name} is no table of dimensions' counts")
    table = np.frombuffer(content, dtype="<u4", offset=header.offset).reshape(header.shape)
    if not table[:, 0].all() or (table[:, 1:] > table[:, :1]).any():
        raise EvaluationError(
            "VECTORS-FORMAT", f"{name} counts a dimension more often than there are vectors"
        )
    return table
