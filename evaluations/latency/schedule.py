"""Which queries a session times, in which order, and how they fall into chunks and blocks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

LEAST_WARMUP, LEAST_BLOCKS, LEAST_CHUNKS, LEAST_QUERIES = 50, 5, 10, 1000
CHUNK = 20


@dataclass(frozen=True)
class Schedule:
    """A session's plan. `block_s`: a block of quick queries goes on for so long, up to `most_chunks`.

    Chunks are short, so that the system and the references meet the same disturbances, and not single
    queries, so that each finds its own data in the caches. Raises ValueError below the protocol's least.
    """

    seed: int = 6
    warmup: int = LEAST_WARMUP
    chunk: int = CHUNK
    chunks: int = LEAST_CHUNKS
    blocks: int = LEAST_BLOCKS
    block_s: float = 1.0
    most_chunks: int = 200

    def __post_init__(self) -> None:
        enough = (
            self.warmup >= LEAST_WARMUP
            and self.blocks >= LEAST_BLOCKS
            and self.chunks >= LEAST_CHUNKS
            and self.chunk * self.chunks * self.blocks >= LEAST_QUERIES
        )
        if not enough:
            raise ValueError(f"{self} is less than the protocol's least")

    @property
    def block_ns(self) -> int:
        return int(self.block_s * 1e9)

    def __str__(self) -> str:
        """The fact of the protocol: what of it moves numbers."""
        return (
            f"batch 1, {self.warmup} warm-up queries, chunks of {self.chunk} alternating with the references,"
            f" at least {self.blocks} blocks of {self.chunks} chunks and {self.block_s:g} s, seed {self.seed}"
        )


def query_order(queries: int, seed: int) -> Iterator[int]:
    """Positions of distinct queries without end: every pass takes each once, in an order of its own."""
    generator = np.random.default_rng(seed)
    while True:
        yield from generator.permutation(queries).tolist()
