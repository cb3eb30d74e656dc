"""Dense vectors: `.npy`, or `.safetensors` with the key `embeddings`, mapped into memory, never unpickled."""

import json
import math
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from evaluations.errors import EvaluationError
from evaluations.systems.vector_files.ids import Selection, select_rows
from evaluations.systems.vector_files.limits import (
    VectorLimits,
    check_rows,
    first_unfit,
    refusal,
    size_of,
)
from evaluations.systems.vector_files.npy import read_header

KEY = "embeddings"
MAX_HEADER_BYTES = 1024 * 1024
BLOCK_BYTES = 32 * 1024 * 1024
BF16 = "BF16"
_SAFETENSORS_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I8": "|i1", BF16: "<u2"}
_NPY_TYPES = ("f8", "f4", "f2", "i1")

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class DenseVectors:
    """Finite float32, shape (vectors, dimensions), one row for each of `selection.ids`."""

    selection: Selection
    matrix: Float32


@dataclass(frozen=True)
class _Stored:
    """A matrix as it lies in the file; bf16 as the 16 bits of its numbers, which numpy has no type for."""

    path: Path
    matrix: NDArray[Any]
    is_bf16: bool = False

    def float32(self, first: int, last: int) -> Float32:
        block = self.matrix[first:last]
        if self.is_bf16:
            return (block.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            return np.ascontiguousarray(block, dtype=np.float32)

    @property
    def is_float32(self) -> bool:
        flags = self.matrix.flags
        return bool(self.matrix.dtype == np.float32 and flags.c_contiguous and flags.aligned)


def read_dense(
    path: Path, dimensions: int, wanted: Collection[str] | None, limits: VectorLimits, *, unit: bool = False
) -> DenseVectors:
    """The vectors whose ids are wanted; `unit`: divided by their length, a zero vector stays.

    A whole float32 matrix stays mapped: it takes no memory of its own. Raises EvaluationError `VECTORS-...`.
    """
    stored = _open(path, dimensions, limits)
    rows = select_rows(path, len(stored.matrix), wanted, limits)
    places = np.array(rows.places, dtype=np.int64)
    if stored.is_float32 and not unit and len(places) == len(stored.matrix):
        for _ in _blocks(stored):
            pass  # every row is looked at
        return DenseVectors(rows.selection, cast("Float32", stored.matrix))
    matrix = np.empty((len(places), dimensions), dtype=np.float32)
    filled = 0
    for first, block, norms in _blocks(stored):
        here = places[(places >= first) & (places < first + len(block))] - first
        chosen = block[here] / _divisors(norms[here]) if unit else block[here]
        matrix[filled : filled + len(here)] = chosen
        filled += len(here)
    return DenseVectors(rows.selection, matrix)


def check_dense(
    path: Path, dimensions: int, wanted: Collection[str] | None, limits: VectorLimits
) -> Selection:
    """Looks at every row and keeps none. Raises EvaluationError `VECTORS-...`."""
    stored = _open(path, dimensions, limits)
    rows = select_rows(path, len(stored.matrix), wanted, limits)
    for _ in _blocks(stored):
        pass
    return rows.selection


def _open(path: Path, dimensions: int, limits: VectorLimits) -> _Stored:
    try:
        size = size_of(path, limits)
        stored = _open_npy(path, size) if path.suffix == ".npy" else _open_safetensors(path, size)
    except OSError as error:
        raise refusal("FILE", path, f" cannot be read: {error.strerror}") from error
    check_rows(path, len(stored.matrix), limits)
    width = stored.matrix.shape[1]
    if width > limits.dense_dimensions:
        raise refusal("SIZE", path, f" has vectors of {width:,} numbers; at most {limits.dense_dimensions:,}")
    if width != dimensions:
        problem = f" has vectors of {width:,} numbers, and meta.json says {dimensions:,} dimensions"
        raise refusal("DIMENSIONS", path, f"{problem}; correct the one that is wrong")
    return stored


def _open_npy(path: Path, size: int) -> _Stored:
    with path.open("rb") as stream:
        header = read_header(stream, path)
    if header.dtype.str[1:] not in _NPY_TYPES:
        raise _wrong_type(path, header.dtype.name)
    _check_payload(path, header.shape, header.payload_bytes, size - header.offset)
    return _Stored(path, _mapped(path, header.dtype, header.offset, header.shape, header.is_fortran))


def _open_safetensors(path: Path, size: int) -> _Stored:
    with path.open("rb") as stream:
        raw = stream.read(8)
        length = struct.unpack("<Q", raw)[0] if len(raw) == 8 else 0
        if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
            raise _no_safetensors(path, f"a header of {length:,} bytes")
        dtype, shape, end = _tensor(path, stream.read(length))
    if dtype not in _SAFETENSORS_TYPES:
        raise _wrong_type(path, dtype)
    stored_type = np.dtype(_SAFETENSORS_TYPES[dtype])
    payload = size - 8 - length
    _check_payload(path, shape, math.prod(shape) * stored_type.itemsize, payload)
    if end != payload:
        raise _no_safetensors(path, f"a tensor that ends at byte {end:,} of {payload:,}")
    return _Stored(path, _mapped(path, stored_type, 8 + length, shape), dtype == BF16)


def _tensor(path: Path, header: bytes) -> tuple[str, tuple[int, ...], int]:
    """Type, shape and last byte of the one tensor."""
    try:
        record = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise _no_safetensors(path, "a header that is not JSON") from error
    names = [name for name in record if name != "__metadata__"] if isinstance(record, dict) else []
    if names != [KEY]:
        found = ", ".join(map(str, names))[:80] or "none"
        raise refusal("FORMAT", path, f" must hold one tensor, {KEY!r}; it holds: {found}")
    tensor = record[KEY] if isinstance(record[KEY], dict) else {}
    shape, offsets = tensor.get("shape"), tensor.get("data_offsets")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] != 0:
        raise _no_safetensors(path, "a shape or offsets that make no sense")
    return str(tensor.get("dtype"))[:20], tuple(shape), offsets[1]


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 10**15 for size in value)


def _check_payload(path: Path, shape: tuple[int, ...], declared: int, payload: int) -> None:
    if len(shape) != 2:
        problem = f" has {len(shape)} dimensions; save a matrix with one row a vector"
        raise refusal("FORMAT", path, problem)
    if declared != payload:
        problem = f" declares {declared:,} bytes of numbers and holds {payload:,}"
        raise refusal("FORMAT", path, f"{problem}; the file is cut off or damaged, write it again")


def _mapped(
    path: Path, dtype: "np.dtype[np.generic]", offset: int, shape: tuple[int, ...], is_fortran: bool = False
) -> NDArray[Any]:
    if not math.prod(shape):  # nothing can be mapped
        return np.empty(shape, dtype=dtype)
    order: Literal["F", "C"] = "F" if is_fortran else "C"
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order=order))


def _blocks(stored: _Stored) -> Iterator[tuple[int, Float32, NDArray[np.float64]]]:
    """(first row, rows, their lengths) of the whole matrix. Raises EvaluationError `VECTORS-VALUE`."""
    rows = max(1, BLOCK_BYTES // (4 * max(1, stored.matrix.shape[1])))
    for first in range(0, len(stored.matrix), rows):
        block = stored.float32(first, first + rows)
        wide = block.astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        if unfit := first_unfit(norms):
            raise refusal("VALUE", stored.path, f" row {first + unfit[0] + 1} {unfit[1]}")
        yield first, block, norms


def _divisors(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(norms > 0, norms, 1.0)[:, np.newaxis]


def _wrong_type(path: Path, name: str) -> EvaluationError:
    return refusal("FORMAT", path, f" holds {name[:20]}; save float32, float16 or int8")


def _no_safetensors(path: Path, problem: str) -> EvaluationError:
    return refusal("FORMAT", path, f" is no safetensors file: it has {problem}; write it again")
