"""Sparse vectors as a matrix: what `scipy.sparse.save_npz` writes of a CSR matrix, with a list of ids."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.errors import EvaluationError
from evaluations.systems.vector_files.ids import Selection, select_rows
from evaluations.systems.vector_files.limits import VectorLimits, check_rows, first_unfit, refusal
from evaluations.systems.vector_files.npz import Arrays, opened

BLOCK_ROWS = 4096
_NAMES = frozenset(("data", "indices", "indptr", "shape", "format", "_is_array"))

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class CsrVectors:
    """`blocks` yields float32 rows (rows, dimensions), one for each of `selection.ids`, in their order."""

    selection: Selection
    blocks: Iterator[csr_array]


@dataclass(frozen=True)
class _Matrix:
    path: Path
    offsets: Integers
    columns: Integers
    weights: NDArray[Any]
    dimensions: int

    def __len__(self) -> int:
        return len(self.offsets) - 1


def read_csr(path: Path, dimensions: int, wanted: Collection[str] | None, limits: VectorLimits) -> CsrVectors:
    """The vectors whose ids are wanted. Raises EvaluationError `VECTORS-...`, also while blocks are read."""
    matrix = _matrix(path, dimensions, limits)
    rows = select_rows(path, len(matrix), wanted, limits)
    return CsrVectors(rows.selection, _blocks(matrix, np.array(rows.places, dtype=np.int64)))


def _matrix(path: Path, dimensions: int, limits: VectorLimits) -> _Matrix:
    with opened(path, _NAMES, limits) as arrays:
        _check_format(arrays)
        rows, width = _shape(arrays)
        check_rows(path, rows, limits)
        if width != dimensions:
            problem = f" has {width:,} columns, and meta.json says {dimensions:,} dimensions"
            raise refusal("DIMENSIONS", path, f"{problem}; correct the one that is wrong")
        offsets, columns = _integers(arrays, "indptr"), _integers(arrays, "indices")
        matrix = _Matrix(path, offsets, columns, _numbers(arrays), width)
    _check_structure(matrix, rows)
    return matrix


def _check_format(arrays: Arrays) -> None:
    header = arrays.header("format")
    found = "" if header.payload_bytes > 64 else str(arrays.read("format").astype("U").item())
    if found != "csr":
        problem = f" holds a {found[:10] or 'strange'} matrix; save scipy.sparse.csr_array(matrix)"
        raise refusal("FORMAT", arrays.path, problem)


def _shape(arrays: Arrays) -> tuple[int, int]:
    shape = _integers(arrays, "shape")
    if len(shape) != 2 or min(shape) < 0:
        raise _inconsistent(arrays.path, "its shape")
    return int(shape[0]), int(shape[1])


def _integers(arrays: Arrays, name: str) -> Integers:
    header = arrays.header(name)
    if header.dtype.kind not in "iu" or header.dtype.itemsize < 4 or len(header.shape) != 1:
        raise _inconsistent(arrays.path, name)
    return arrays.read(name)


def _numbers(arrays: Arrays) -> NDArray[Any]:
    header = arrays.header("data")
    if header.dtype.kind not in "iuf" or len(header.shape) != 1:
        raise _inconsistent(arrays.path, "data")
    return arrays.read("data")


def _check_structure(matrix: _Matrix, rows: int) -> None:
    offsets, columns = matrix.offsets, matrix.columns
    if len(offsets) != rows + 1 or offsets[0] != 0 or int(offsets[-1]) != len(columns):
        raise _inconsistent(matrix.path, "indptr")
    if len(matrix.weights) != len(columns):
        raise _inconsistent(matrix.path, "data")
    if (offsets[1:] < offsets[:-1]).any():
        raise _inconsistent(matrix.path, "indptr")
    if len(columns) and not 0 <= int(columns.min()) <= int(columns.max()) < matrix.dimensions:
        raise _inconsistent(matrix.path, "indices")


def _blocks(matrix: _Matrix, places: NDArray[np.int64]) -> Iterator[csr_array]:
    for first in range(0, len(matrix), BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, len(matrix))
        block = _rows(matrix, first, last)
        _check_rows(matrix.path, block, first)
        here = places[(places >= first) & (places < last)] - first
        if len(here):
            yield block if len(here) == last - first else csr_array(block[here])


def _rows(matrix: _Matrix, first: int, last: int) -> csr_array:
    offsets = matrix.offsets[first : last + 1].astype(np.int64)
    within = slice(int(offsets[0]), int(offsets[-1]))
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        weights = matrix.weights[within].astype(np.float32)
    columns = matrix.columns[within].astype(np.int32)
    block = csr_array((weights, columns, offsets - offsets[0]), shape=(last - first, matrix.dimensions))
    block.sort_indices()
    return block


def _check_rows(path: Path, block: csr_array, first: int) -> None:
    squares = block.data.astype(np.float64) ** 2
    row_of = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    norms = np.sqrt(np.bincount(row_of, weights=squares, minlength=block.shape[0]))
    if unfit := first_unfit(norms):
        raise refusal("VALUE", path, f" row {first + unfit[0] + 1} {unfit[1]}")
    twice = np.flatnonzero((np.diff(block.indices) == 0) & (np.diff(row_of) == 0))
    if len(twice):
        row, column = first + row_of[twice[0]] + 1, block.indices[twice[0]]
        problem = f" row {row} has column {column} twice; call sum_duplicates() before saving"
        raise refusal("VALUE", path, problem)


def _inconsistent(path: Path, part: str) -> EvaluationError:
    problem = f" is no consistent CSR matrix ({part} does not fit the rest)"
    return refusal("FORMAT", path, f"{problem}; write it with scipy.sparse.save_npz")
