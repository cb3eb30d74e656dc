"""A corpus in chunks: distinct texts in the order of their first places, so that equal ones are encoded once.

A chunk is what a killed evaluation loses at most, and what the cache keeps in one file.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets.texts import in_batches

CHUNK_TEXTS = 1024
CHUNK_CHARACTERS = 4_000_000

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """`texts` are distinct. The text of row i is at `places[starts[i]:starts[i + 1]]` of the corpus."""

    texts: Sequence[str]
    places: Places
    starts: Places

    @property
    def rows(self) -> Places:
        """The row of each place."""
        return np.repeat(np.arange(len(self.texts)), np.diff(self.starts))

    @property
    def repeats(self) -> bool:
        return len(self.places) > len(self.texts)

    def count(self, rows: Sequence[int]) -> int:
        """Places of these rows."""
        return int((self.starts[1:] - self.starts[:-1])[list(rows)].sum())

    @property
    def checksum(self) -> str:
        """SHA-256 of the texts with their lengths, so that no two lists of texts have the same bytes."""
        digest = hashlib.sha256()
        for text in self.texts:
            content = text.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
        return digest.hexdigest()


def chunks(texts: Sequence[str]) -> Iterator[Chunk]:
    """All places once. Of the texts a chunk is held, and 16 bytes of each: its digest."""
    places, starts = _grouped(texts)
    distinct = (texts[places[start]] for start in starts[:-1])
    first = 0
    for chosen in in_batches(distinct, CHUNK_TEXTS, CHUNK_CHARACTERS):
        own = starts[first : first + len(chosen) + 1]
        yield Chunk(chosen, places[own[0] : own[-1]], own - own[0])
        first += len(chosen)


def _grouped(texts: Sequence[str]) -> tuple[Places, Places]:
    """All places, those of equal texts together, by their first; and where each group starts, and the end."""
    numbers = _numbered(texts)
    places = np.argsort(numbers, kind="stable")
    ends = np.flatnonzero(np.diff(numbers[places], append=-1)) + 1
    return places, np.concatenate([[0], ends])


def _numbered(texts: Sequence[str]) -> Places:
    """A number for each text, equal for equal ones, ascending by first place."""
    digests = np.empty(len(texts), dtype="V16")
    for place, text in enumerate(texts):
        content = text.encode("utf-8", "surrogatepass")
        digests[place] = hashlib.blake2b(content, digest_size=16).digest()
    _, first, inverse = np.unique(digests.view("S16"), return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    found: Places = number[inverse]
    return found
