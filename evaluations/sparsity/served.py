"""What an inverted index takes where it is served: impacts of 8 bits, ids as gaps in variable bytes.

Nothing is estimated: every posting is encoded into a buffer and its bytes are counted. Importing this brings
numba.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.search.kernels import compiled
from evaluations.tracks import Findings

OFFSET_BYTES = 8
LARGEST_CODE = 5  # bytes of a gap below 2^35
_SEVEN_BITS = 0x7F


@dataclass(frozen=True)
class Served:
    """Postings whose impact is not rounded to zero, and the bytes of their ids, their impacts and offsets."""

    postings: int
    id_bytes: int
    impact_bytes: int
    offset_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.id_bytes + self.impact_bytes + self.offset_bytes


def served_storage(
    offsets: NDArray[Any], documents: NDArray[Any], impacts: NDArray[Any], segment_size: int
) -> Findings:
    """`index_served_bytes` of an index (evaluations/search/kernels.py says how it lies)."""
    found = served(offsets, documents, impacts, segment_size)
    return Findings(
        {"index_served_bytes": found.total_bytes},
        details={
            "served_index": {
                **vars(found),
                "impacts": "8 bits, linear, of the index's largest, half to even; zeros dropped",
                "ids": "gaps minus one in variable bytes",
                "offsets": "64 bits a dimension",
            }
        },
    )


def served(
    offsets: NDArray[Any], documents: NDArray[Any], impacts: NDArray[Any], segment_size: int
) -> Served:
    """The sizes. 255 levels, or 127 on each side of zero where an impact is negative."""
    largest = float(np.abs(impacts).max(initial=0.0))
    levels = 127.0 if len(impacts) and float(impacts.min()) < 0 else 255.0
    per_term = np.diff(offsets, axis=1).sum(axis=0, dtype=np.int64)
    scratch = np.empty(int(per_term.max(initial=0)) * LARGEST_CODE, dtype=np.uint8)
    scale = levels / largest if largest else 0.0
    postings, id_bytes = _encode_all(offsets, documents, impacts, segment_size, scale, scratch)
    return Served(int(postings), int(id_bytes), int(postings), OFFSET_BYTES * (len(per_term) + 1))


@compiled
def encode_gap(gap: int, out: NDArray[np.uint8], place: int) -> int:
    """Writes a number of seven bits a byte, lowest first, the last byte's upper bit set; the place after."""
    while gap > _SEVEN_BITS:
        out[place] = gap & _SEVEN_BITS
        gap >>= 7
        place += 1
    out[place] = gap | 0x80
    return place + 1


@compiled
def encode_term(
    term: int,
    offsets: NDArray[np.int64],
    documents: NDArray[np.uint16],
    impacts: NDArray[np.float32],
    segment_size: int,
    scale: float,
    out: NDArray[np.uint8],
) -> tuple[int, int]:
    """One term's ids into `out`: how many there are, and in how many bytes."""
    postings, place, previous = 0, 0, -1
    for segment in range(len(offsets)):
        for position in range(offsets[segment, term], offsets[segment, term + 1]):
            if np.rint(np.float64(abs(impacts[position])) * scale) == 0:
                continue
            document = segment * segment_size + int(documents[position])
            place = encode_gap(document - previous - 1, out, place)
            previous = document
            postings += 1
    return postings, place


@compiled
def _encode_all(
    offsets: NDArray[np.int64],
    documents: NDArray[np.uint16],
    impacts: NDArray[np.float32],
    segment_size: int,
    scale: float,
    out: NDArray[np.uint8],
) -> tuple[int, int]:
    postings, size = 0, 0
    for term in range(offsets.shape[1] - 1):
        found, length = encode_term(term, offsets, documents, impacts, segment_size, scale, out)
        postings += found
        size += length
    return postings, size
