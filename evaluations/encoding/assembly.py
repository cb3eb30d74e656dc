"""Blocks put together: in memory, or in a file mapped into it where they would take too much of it."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
import psutil
from numpy.typing import NDArray

from evaluations.encoding.encoder import Block
from evaluations.encoding.forms import Float32
from evaluations.scratch import scratch_file, written
from evaluations.search.maxsim import TokenVectors

_WHAT = "the vectors"
MAPPED_SHARE = 4  # vectors that would take more than a quarter of the free memory go to a file


def dense_matrix(blocks: Iterable[Block[Float32]], texts: int, scratch: Path | None = None) -> Float32:
    """Shape (texts, dimensions), a row at each block's places. `scratch`: the folder for a mapped file."""
    matrix = np.empty((0, 0), dtype=np.float32)
    for block in blocks:
        if not matrix.size:
            matrix = _empty((texts, block.vectors.shape[1]), scratch)
        matrix[block.places] = block.vectors
    return matrix


def token_matrix(
    blocks: Iterable[Block[TokenVectors]], texts: int, scratch: Path | None = None
) -> tuple[TokenVectors, NDArray[np.int64]]:
    """The vectors in the blocks' order, and the place of each text in the corpus. At least one block."""
    places, counts, rows = [], [np.zeros(1, dtype=np.int64)], None
    for block in blocks:
        rows = rows or _GrowingRows(block.vectors.vectors, len(block.places), texts, scratch)
        rows.add(block.vectors.vectors)
        places.append(block.places)
        counts.append(np.diff(block.vectors.offsets))
    assert rows is not None  # noqa: S101 - no corpus is empty
    return TokenVectors(rows.finished(), np.cumsum(np.concatenate(counts))), np.concatenate(places)


class _GrowingRows:
    """Rows that are in memory once, never twice: an array that grows in place, or a file."""

    def __init__(self, first: Float32, first_texts: int, texts: int, scratch: Path | None) -> None:
        expected = first.nbytes * texts // max(1, first_texts)
        self._file: IO[bytes] | None = None
        if _is_large(expected):
            with written(_WHAT):
                self._file = scratch_file(scratch)
        self._flat = np.empty(0, dtype=np.float32)
        self._used = 0
        self._dimensions = first.shape[1]

    def add(self, rows: Float32) -> None:
        end = self._used + rows.size
        if self._file is not None:
            with written(_WHAT):
                self._file.write(np.ascontiguousarray(rows).data)
        else:
            if end > len(self._flat):
                self._flat.resize(max(end, len(self._flat) * 5 // 4), refcheck=False)
            self._flat[self._used : end] = rows.reshape(-1)
        self._used = end

    def finished(self) -> Float32:
        shape = (self._used // self._dimensions, self._dimensions)
        if self._file is not None:
            with written(_WHAT):
                self._file.flush()
                return np.memmap(self._file, dtype=np.float32, mode="r+", shape=shape)
        self._flat.resize(self._used, refcheck=False)
        return self._flat.reshape(shape)


def _empty(shape: tuple[int, int], scratch: Path | None) -> Float32:
    size = 4 * shape[0] * shape[1]
    if not _is_large(size):
        return np.empty(shape, dtype=np.float32)
    with written(_WHAT):
        stream = scratch_file(scratch)
        os.posix_fallocate(stream.fileno(), 0, size)  # a full disk is found here, not by a signal
        return np.memmap(stream, dtype=np.float32, mode="r+", shape=shape)


def _is_large(size: int) -> bool:
    return size * MAPPED_SHARE > psutil.virtual_memory().available
