"""A corpus in chunks: distinct texts in the order of their first places, so that equal ones are encoded once.

A chunk is what a killed evaluation loses at most, and what the cache keeps in one file.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """All places once. Of the texts only digests are kept: 16 bytes a text."""
    distinct = _numbered(texts)
    by_number = np.argsort(distinct, kind="stable")
    ends = np.flatnonzero(np.diff(distinct[by_number], append=-1)) + 1
    starts = np.concatenate([[0], ends])
    firsts = by_number[starts[:-1]]
    for first, last in _cut(texts, firsts):
        own = starts[first : last + 1]
        chosen = [texts[place] for place in firsts[first:last]]
        yield Chunk(chosen, by_number[own[0] : own[-1]], own - own[0])


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


def _cut(texts: Sequence[str], firsts: Places) -> Iterator[tuple[int, int]]:
    start = characters = 0
    for number, place in enumerate(firsts):
        length = len(texts[place])
        full = number - start == CHUNK_TEXTS or characters + length > CHUNK_CHARACTERS
        if full and number > start:
            yield start, number
            start, characters = number, 0
        characters += length
    if len(firsts):
        yield start, len(firsts)
