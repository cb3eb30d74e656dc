"""Which texts the costly profiles look at: the same ones whatever the order of the corpus."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST = 32  # of documents and of queries
SHARE = 32  # one document in so many, so that the profile stays small beside encoding them all
FEWEST = 4
MOST_CHARACTERS = 4000  # attention written out takes memory with the square of a text's length
RULE = f"the distinct texts with the smallest BLAKE2b digests, cut to {MOST_CHARACTERS:,} characters"


@dataclass(frozen=True)
class Sample:
    documents: Sequence[str]
    queries: Sequence[str]


def sample_of(documents: Sequence[str], queries: Iterable[str]) -> Sample:
    """One document in 32, from 4 to 32 of them, and as many queries; fewer where there are not so many."""
    asked = min(MOST, max(FEWEST, len(documents) // SHARE))
    return Sample(chosen(documents, asked), chosen(queries, asked))


def chosen(texts: Iterable[str], count: int) -> list[str]:
    """`count` distinct texts. The digest takes the place of a seed: it is as good as random, and fixed.

    Of the texts no more than `count` are held.
    """
    found: list[tuple[bytes, str]] = []
    for text in texts:
        key = (_digest(text), text)
        place = bisect_left(found, key)
        if place < count and key not in found[place : place + 1]:
            found.insert(place, key)
            del found[count:]
    return [text[:MOST_CHARACTERS] for _, text in found]


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
