"""The tensors of safetensors files, read a block of rows at a time, so that memory is bounded by a block.

They are never read as numbers: a zero is seen in its bits, whatever the type.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_ELEMENTS = 1 << 22
ROWS = 32  # a block of rows is a multiple of it, so that square blocks of weights are whole
# Bytes of an element, and which of its bits are not its sign: -0.0 is zero.
_TYPES = {
    "F64": (8, 0x7FFFFFFFFFFFFFFF),
    "C64": (8, 0x7FFFFFFF7FFFFFFF),
    "F32": (4, 0x7FFFFFFF),
    "F16": (2, 0x7FFF),
    "BF16": (2, 0x7FFF),
    "F8_E4M3": (1, 0x7F),
    "F8_E5M2": (1, 0x7F),
    "F8_E8M0": (1, 0xFF),
    **dict.fromkeys(("I64", "U64"), (8, 0xFFFFFFFFFFFFFFFF)),
    **dict.fromkeys(("I32", "U32"), (4, 0xFFFFFFFF)),
    **dict.fromkeys(("I16", "U16"), (2, 0xFFFF)),
    **dict.fromkeys(("I8", "U8", "BOOL"), (1, 0xFF)),
}

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class StoredTensor:
    """`start`: where its bytes begin in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    start: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * _TYPES[self.dtype][0]

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

    Raises EvaluationError `MODEL-WEIGHTS` for a damaged file.
    """
    paths = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    return [tensor for path in paths for tensor in tensors_of(path)]


def tensors_of(path: Path) -> list[StoredTensor]:
    """Of one file. Raises EvaluationError `MODEL-WEIGHTS`."""
    from evaluations.systems.weight_files import read_header  # here: the systems are made of this package

    return [
        StoredTensor(name, tensor.dtype, tensor.shape, path, tensor.start)
        for name, tensor in read_header(path).items()
        if tensor.is_parameter
    ]
