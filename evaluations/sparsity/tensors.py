"""The tensors of safetensors files, read a block of rows at a time, so that memory is bounded by a block.

They are never read as numbers: a zero is seen in its bits, whatever the type.
"""

import json
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.errors import EvaluationError

MAX_HEADER_BYTES = 100 * 1024 * 1024
BLOCK_ELEMENTS = 1 << 22
ROWS = 32  # a block of rows is a multiple of it, so that square blocks of weights are whole
# Bytes of an element, and which of its bits are not its sign: -0.0 is zero.
_TYPES = {
    "F64": (8, 0x7FFFFFFFFFFFFFFF),
    "F32": (4, 0x7FFFFFFF),
    "F16": (2, 0x7FFF),
    "BF16": (2, 0x7FFF),
    "F8_E4M3": (1, 0x7F),
    "F8_E5M2": (1, 0x7F),
    "I32": (4, 0xFFFFFFFF),
    "I16": (2, 0xFFFF),
    "I8": (1, 0xFF),
    "U8": (1, 0xFF),
    "BOOL": (1, 0xFF),
}
_POSITIONS = ("I64", "U64")  # of tokens: they are no parameters

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class StoredTensor:
    """`start`: where its bytes begin in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    start: int
    bytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def rows(self) -> int:
        """Of the matrix that it is read as: the last axis are the columns."""
        return self.elements // self.columns if self.elements else 0

    @property
    def columns(self) -> int:
        return self.shape[-1] if self.shape else 1

    def nonzero_blocks(self) -> Iterator[Mask]:
        """Where it is not zero, shape (rows, columns), some rows at a time."""
        width, magnitude = _TYPES[self.dtype]
        if not self.elements:
            return
        bits: Any = np.memmap(
            self.path, dtype=f"<u{width}", mode="r", offset=self.start, shape=(self.rows, self.columns)
        )
        step = max(ROWS, BLOCK_ELEMENTS // self.columns // ROWS * ROWS)
        for first in range(0, self.rows, step):
            block: Mask = (np.asarray(bits[first : first + step]) & bits.dtype.type(magnitude)) != 0
            yield block


def stored_tensors(folders: Iterable[Path]) -> list[StoredTensor]:
    """Of the safetensors files directly in these folders, without positions.

    Raises EvaluationError `MODEL-WEIGHTS` for a damaged header, or a type that is not known.
    """
    paths = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    return [tensor for path in paths for tensor in tensors_of(path)]


def tensors_of(path: Path) -> list[StoredTensor]:
    """Of one file. Raises EvaluationError `MODEL-WEIGHTS`."""
    try:
        header, begin = _header(path)
        size = path.stat().st_size
        header.pop("__metadata__", None)
        found = [_tensor(path, name, facts, begin) for name, facts in header.items()]
        for tensor in found:
            if tensor.start < begin or tensor.start + tensor.bytes > size:
                raise ValueError(f"{tensor.name} is not inside the file")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, struct.error) as error:
        raise EvaluationError("MODEL-WEIGHTS", f"{path.name} is no safetensors file: {error}") from error
    return [tensor for tensor in found if tensor.dtype not in _POSITIONS]


def _tensor(path: Path, name: str, facts: Any, begin: int) -> StoredTensor:
    dtype, shape = str(facts["dtype"]), tuple(int(size) for size in facts["shape"])
    first, last = (int(offset) for offset in facts["data_offsets"])
    found = StoredTensor(name, dtype, shape, path, begin + first, last - first)
    if dtype in _POSITIONS:
        return found
    if dtype not in _TYPES:
        raise ValueError(f"{name} has the type {dtype[:20]}, which is not known here")
    if min(shape, default=0) < 0 or found.elements * _TYPES[dtype][0] != found.bytes:
        raise ValueError(f"{name} has {found.bytes:,} bytes, which is not its shape {list(shape)}")
    return found


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors begin."""
    with path.open("rb") as stream:
        (size,) = struct.unpack("<Q", stream.read(8))
        if size > MAX_HEADER_BYTES:
            raise ValueError(f"a header of {size:,} bytes")
        header: dict[str, Any] = json.loads(stream.read(size))
        return header, 8 + size
