"""Documents' terms and how often each occurs, between the two times that BM25 needs them.

How many documents have a term is known when all are read, and only then can the first be scored.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from evaluations.scratch import scratch_file, written
from evaluations.systems.bm25_terms import TokenBatch

HELD_BYTES = 64 << 20  # of a corpus' counts; more wait in a file: they would be as much as the index again
_HALF = 32


@dataclass(frozen=True)
class Counts:
    """Documents' distinct terms, ascending, and how often each occurs: CSR. `lengths` count every token."""

    offsets: NDArray[np.int64]
    terms: NDArray[np.int32]
    frequencies: NDArray[np.float32]
    lengths: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        return self.offsets.nbytes + self.terms.nbytes + self.frequencies.nbytes + self.lengths.nbytes


def counted(batch: TokenBatch) -> Counts:
    """One sort of (document, term) pairs, each packed into 64 bits, and a count of its runs."""
    documents = len(batch.lengths)
    pairs = np.repeat(np.arange(documents, dtype=np.int64) << _HALF, batch.lengths)
    pairs |= batch.terms
    pairs.sort()
    starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)])
    distinct = pairs[starts]
    offsets = np.searchsorted(distinct, np.arange(documents + 1, dtype=np.int64) << _HALF)
    frequencies = np.diff(starts, append=len(pairs)).astype(np.float32)
    terms = (distinct & 0xFFFFFFFF).astype(np.int32)
    return Counts(offsets, terms, frequencies, batch.lengths.astype(np.int32))


class CorpusCounts:
    """The counts of a corpus, added batch by batch and taken once, in the same order."""

    def __init__(self) -> None:
        self._held: deque[Counts] = deque()
        self._held_bytes = 0
        self._file: IO[bytes] | None = None
        self._in_file = 0
        self._documents = 0
        self._tokens = 0
        self._frequency = np.zeros(0, dtype=np.int64)

    def add(self, counts: Counts) -> None:
        """Raises EvaluationFailed `SCRATCH` where the file cannot be written."""
        self._documents += len(counts.lengths)
        self._tokens += int(counts.lengths.sum(dtype=np.int64))
        self._frequency = _sum(self._frequency, np.bincount(counts.terms))
        if self._file is None and self._held_bytes + counts.nbytes <= HELD_BYTES:
            self._held.append(counts)
            self._held_bytes += counts.nbytes
            return
        with written("what BM25 counts"):
            self._file = self._file or scratch_file()
            _write(counts, self._file)
        self._in_file += 1

    def document_frequency(self, terms: int) -> NDArray[np.int64]:
        """In how many documents each term is, shape (terms,)."""
        return np.pad(self._frequency, (0, terms - len(self._frequency)))

    @property
    def mean_length(self) -> float:
        """Of all documents, empty ones too."""
        return self._tokens / self._documents

    def taken(self) -> Iterator[Counts]:
        """Each is let go before the next is made. Raises EvaluationFailed `SCRATCH`."""
        while self._held:
            yield self._held.popleft()
        if self._file is None:
            return
        with self._file as stream:
            with written("what BM25 counts"):  # what was buffered until now
                stream.seek(0)
            for _ in range(self._in_file):
                yield _read(stream)


def _sum(some: NDArray[np.int64], more: NDArray[np.int64]) -> NDArray[np.int64]:
    """Element by element; the shorter one as if zeros followed."""
    longer, shorter = (some, more) if len(some) > len(more) else (more, some)
    longer[: len(shorter)] += shorter
    return longer


def _write(counts: Counts, stream: IO[bytes]) -> None:
    for array in (counts.offsets, counts.terms, counts.frequencies, counts.lengths):
        np.lib.format.write_array(stream, array, allow_pickle=False)


def _read(stream: IO[bytes]) -> Counts:
    return Counts(*(np.lib.format.read_array(stream, allow_pickle=False) for _ in range(4)))
