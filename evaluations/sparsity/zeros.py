"""The pattern of a weight matrix's zeros: N:M, whole rows, columns, heads and square blocks.

A matrix (outputs, inputs) comes as masks of some rows at a time, true where it is not zero.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from evaluations.sparsity.tensors import Mask

SQUARE = 32
_PAIRS = ((1, 2), (1, 4), (2, 4), (1, 8), (2, 8), (4, 8), (1, 16), (2, 16), (4, 16), (8, 16))
# At most N non-zeros in M inputs in a row; strictest first: the fewest non-zeros, then the shortest group.
PATTERNS = tuple(sorted(_PAIRS, key=lambda pattern: (pattern[0] / pattern[1], pattern[1])))
GROUPS = tuple(sorted({m for _, m in PATTERNS}))
FEWEST_ZEROS = 0.25  # with fewer no pattern holds, even where the group at a row's end is short

Pattern = tuple[int, int]
Blocks = Callable[[], Iterable[Mask]]


@dataclass(frozen=True)
class MatrixZeros:
    """Counts of one matrix, or the sum of several.

    `heads`, `zero_heads`: of an attention's output projection, else 0. `patterned`: matrices in which an N:M
    pattern holds. `group_maxima`: for each M of `GROUPS`, the most non-zeros that a group has.
    """

    elements: int = 0
    zeros: int = 0
    matrices: int = 0
    rows: int = 0
    zero_rows: int = 0
    columns: int = 0
    zero_columns: int = 0
    blocks: int = 0
    zero_blocks: int = 0
    heads: int = 0
    zero_heads: int = 0
    patterned: int = 0
    group_maxima: tuple[int, ...] = (0,) * len(GROUPS)

    def __add__(self, other: "MatrixZeros") -> "MatrixZeros":
        """A pattern holds for both where it holds for each."""
        counts = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        pairs = zip(self.group_maxima, other.group_maxima, strict=True)
        return MatrixZeros(**counts, group_maxima=tuple(max(pair) for pair in pairs))

    @property
    def pattern(self) -> Pattern | None:
        """The strictest that holds everywhere; None where none does, and where nothing was counted."""
        maxima = dict(zip(GROUPS, self.group_maxima, strict=True))
        return next(((n, m) for n, m in PATTERNS if self.elements and maxima[m] <= n), None)


_COUNTS = tuple(each.name for each in fields(MatrixZeros) if each.name != "group_maxima")


def zeros_of(blocks: Blocks, *, heads: int = 0) -> MatrixZeros:
    """Counts of one matrix, which is read once, and again where it has zeros whose places matter.

    `blocks()` gives masks (rows, columns), of whole squares of rows but for the last. `heads`: how many lie
    side by side in the columns, 0 where none do.
    """
    rows, columns, nonzeros = 0, 0, 0
    for mask in blocks():
        rows, columns = rows + len(mask), mask.shape[1]
        nonzeros += int(np.count_nonzero(mask))
    elements = rows * columns
    counted = MatrixZeros(
        elements=elements,
        zeros=elements - nonzeros,
        matrices=1,
        rows=rows,
        columns=columns,
        blocks=-(-rows // SQUARE) * -(-columns // SQUARE),
        heads=heads if heads and columns % heads == 0 else 0,
    )
    if nonzeros == elements:
        return replace(counted, group_maxima=GROUPS)
    groups = GROUPS if elements - nonzeros >= FEWEST_ZEROS * elements else ()
    return _placed(blocks(), counted, groups)


def group_maximum(mask: Mask, size: int) -> int:
    """The most non-zeros in `size` inputs in a row; the group at a row's end may be shorter."""
    rows, columns = mask.shape
    padded = np.zeros((rows, -(-columns // size) * size), dtype=np.uint8)
    padded[:, :columns] = mask
    return int(padded.reshape(rows, -1, size).sum(axis=2, dtype=np.uint8).max(initial=0))


def zero_squares(mask: Mask) -> int:
    """Blocks of 32 x 32, smaller at the edges, without a non-zero."""
    downwards = np.logical_or.reduceat(mask, np.arange(0, mask.shape[0], SQUARE), axis=0)
    both = np.logical_or.reduceat(downwards, np.arange(0, mask.shape[1], SQUARE), axis=1)
    return int(np.count_nonzero(~both))


def _placed(blocks: Iterable[Mask], counted: MatrixZeros, groups: tuple[int, ...]) -> MatrixZeros:
    """With where the zeros are. A group size that is not looked at keeps the worst it may have."""
    used: NDArray[np.bool_] = np.zeros(counted.columns, dtype=bool)
    zero_rows, squares = 0, 0
    maxima = {size: 0 if size in groups and size <= counted.columns else size for size in GROUPS}
    for mask in blocks:
        used |= mask.any(axis=0)
        zero_rows += int(np.count_nonzero(~mask.any(axis=1)))
        squares += zero_squares(mask)
        for size in groups:
            maxima[size] = max(maxima[size], group_maximum(mask, size))
    heads = used.reshape(counted.heads, -1).any(axis=1) if counted.heads else np.ones(0, dtype=bool)
    found = MatrixZeros(
        zero_rows=zero_rows,
        zero_columns=int(np.count_nonzero(~used)),
        zero_blocks=squares,
        zero_heads=int(np.count_nonzero(~heads)),
        group_maxima=tuple(maxima.values()),
    )
    held = MatrixZeros(elements=1, group_maxima=found.group_maxima).pattern is not None
    return counted + found + MatrixZeros(patterned=int(held))
