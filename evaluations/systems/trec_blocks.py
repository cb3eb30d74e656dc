"""Lines of a run taken many at a time, where nothing in them needs a closer look.

What is odd in any way is left to the reader of single lines (trec.py), which alone judges and refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import ne

import numpy as np
from numpy.typing import NDArray

MAX_LINE_BYTES = 4096
FLOAT32_OVERFLOW = 2.0**128 - 2.0**103  # from here on, rounding gives infinity
_OF_NUMBERS = b"0123456789+-.eE"  # what float() takes of these alone is a plain decimal number
_RANK_DIGITS = 18  # fit int64
_IS_SPACE = np.isin(np.arange(256), np.frombuffer(b" \t\n\r\x0b\f", dtype=np.uint8))


@dataclass(frozen=True)
class Lines:
    """Columns of some lines, in the file's order, all of one length. `scores` float64, `ranks` int64."""

    query_ids: list[str]
    document_ids: list[str]
    ranks: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.query_ids)

    def by_query(self) -> Iterator[tuple[int, int]]:
        """First and last, exclusive, of consecutive lines of one query."""
        changes = map(ne, self.query_ids, self.query_ids[1:])
        ends = np.flatnonzero(np.fromiter(changes, dtype=bool, count=len(self) - 1)) + 1
        yield from zip([0, *ends.tolist()], [*ends.tolist(), len(self)], strict=True)

    def contradicted(self) -> NDArray[np.bool_]:
        """Of each line but the first, whether rank and score both rise, or both fall, from the one before."""
        ranks, scores = np.diff(self.ranks), np.diff(self.scores)
        found: NDArray[np.bool_] = ((ranks > 0) == (scores > 0)) & (scores != 0)
        return found


def parsed(block: bytes) -> Lines | None:
    """The lines of a block that ends where a line does; None where one of them needs a closer look."""
    if b"\0" in block or not _has_six_columns(block):
        return None
    columns = block.split()  # of the block and not of each line: a list a line would keep the collector busy
    query_ids, document_ids, ranks, scores = (columns[place::6] for place in (0, 2, 3, 4))
    if not b"".join(ranks).isdigit() or max(map(len, ranks)) > _RANK_DIGITS:
        return None
    numbers = _numbers(scores)
    if numbers is None:
        return None
    try:
        ids = _decoded(query_ids), _decoded(document_ids)
    except UnicodeDecodeError:
        return None
    return Lines(*ids, np.fromiter(map(int, ranks), dtype=np.int64, count=len(ranks)), numbers)


def _has_six_columns(block: bytes) -> bool:
    """In every line, none of which is longer than may be."""
    body = block.removesuffix(b"\n")
    if not body or body.endswith(b"\n"):
        return False
    characters = np.frombuffer(b"\n" + body, dtype=np.uint8)
    is_space = _IS_SPACE[characters]
    begins = (is_space[:-1] > is_space[1:]).view(np.int8)
    lines = np.flatnonzero(characters[:-1] == ord("\n"))
    longest = np.diff(lines, append=len(begins)).max()
    return bool(longest <= MAX_LINE_BYTES) and bool((np.add.reduceat(begins, lines) == 6).all())


def _numbers(scores: list[bytes]) -> NDArray[np.float64] | None:
    if b"".join(scores).translate(None, _OF_NUMBERS):
        return None
    try:
        numbers = np.fromiter(map(float, scores), dtype=np.float64, count=len(scores))
    except ValueError:
        return None
    return numbers if (np.abs(numbers) < FLOAT32_OVERFLOW).all() else None


def _decoded(ids: list[bytes]) -> list[str]:
    """Of a column, which has no line ends in it."""
    return b"\n".join(ids).decode().split("\n")
