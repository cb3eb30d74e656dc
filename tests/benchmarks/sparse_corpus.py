"""Documents as a learned sparse encoder gives them, and real queries.

Every document has 120 distinct terms of 30,522. Term r is drawn with probability ln((r + 51) / (r + 50)) over
ln((V + 50) / 50), a Zipf-Mandelbrot law: the most frequent terms are in about a third of the documents.
Weights are log-normal. Documents are independent of each other, which real ones are not.
"""

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

VOCABULARY, TERMS, SHIFT, BLOCK = 30_522, 120, 50.0, 8192
ROOT = Path(__file__).resolve().parents[2]


@njit(nogil=True)
def _draw(seed: int, terms: NDArray[np.int32]) -> None:
    np.random.seed(seed)
    seen = np.full(VOCABULARY, -1, dtype=np.int64)
    for row in range(len(terms)):
        filled = 0
        while filled < TERMS:
            term = int(SHIFT * ((VOCABULARY + SHIFT) / SHIFT) ** np.random.random() - SHIFT)
            if term < VOCABULARY and seen[term] != row:
                seen[term] = row
                terms[row, filled] = term
                filled += 1
        terms[row].sort()


def write(folder: Path, documents: int) -> None:
    """terms.bin (int32) and weights.bin (float32), 120 a document, by blocks of 8192 documents."""
    rng = np.random.default_rng(0)
    with (folder / "terms.bin").open("wb") as terms_file, (folder / "weights.bin").open("wb") as weights_file:
        for start in range(0, documents, BLOCK):
            terms = np.empty((min(BLOCK, documents - start), TERMS), dtype=np.int32)
            _draw(start, terms)
            terms.tofile(terms_file)
            rng.lognormal(-0.3, 0.8, terms.shape).astype(np.float32).tofile(weights_file)


def blocks(folder: Path, documents: int) -> Iterator[csr_array]:
    """Read, not mapped, so that what an engine holds is counted as its memory."""
    for start in range(0, documents, BLOCK):
        rows = min(BLOCK, documents - start)
        place = {"count": rows * TERMS, "offset": start * TERMS * 4}
        terms = np.fromfile(folder / "terms.bin", dtype=np.int32, **place)
        weights = np.fromfile(folder / "weights.bin", dtype=np.float32, **place)
        yield csr_array((weights, terms, np.arange(0, rows * TERMS + 1, TERMS)), (rows, VOCABULARY))


def whole(folder: Path, documents: int) -> csr_array:
    terms = np.fromfile(folder / "terms.bin", dtype=np.int32)
    weights = np.fromfile(folder / "weights.bin", dtype=np.float32)
    offsets = np.arange(0, documents * TERMS + 1, TERMS, dtype=np.int32)
    return csr_array((weights, terms, offsets), (documents, VOCABULARY))


def ranks(documents: int) -> NDArray[np.int64]:
    """Ids in no order, as real ids are."""
    return np.random.default_rng(1).permutation(documents)


def queries() -> tuple[str, csr_array]:
    """What they are, and the queries: SPLADE++ on TREC DL 2019, each token at a place its hash draws by the
    documents' own law, so that a query term is as frequent as a document term is. Synthetic where absent."""
    path = Path(os.environ.get("SPARSEBOARD_SHARED_DATA", ROOT.parent / "shared" / "data"))
    path /= "learned-sparse/dl19-passage.splade-pp-ed.jsonl"
    if path.exists():
        vectors = [json.loads(line)["vector"] for line in path.read_text().splitlines()]
        return f"{len(vectors)} SPLADE++ queries of TREC DL 2019", _matrix(vectors)
    rng = np.random.default_rng(2)
    made = [{f"t{t}": float(w) for t, w in enumerate(rng.integers(1, 3000, 44))} for _ in range(43)]
    shifted = [{f"{row}{token}": weight for token, weight in query.items()} for row, query in enumerate(made)]
    return "43 synthetic queries of 44 terms", _matrix(shifted)


def _matrix(vectors: list[dict[str, float]]) -> csr_array:
    rows = [{_term(token): weight for token, weight in vector.items()} for vector in vectors]
    terms = np.array([term for row in rows for term in row], dtype=np.int32)
    weights = np.array([weight for row in rows for weight in row.values()], dtype=np.float32)
    matrix = csr_array((weights, terms, np.cumsum([0] + [len(row) for row in rows])), (len(rows), VOCABULARY))
    matrix.sort_indices()
    return matrix


def _term(token: str) -> int:
    share = (zlib.crc32(token.encode()) + 0.5) / 2**32
    return min(VOCABULARY - 1, int(SHIFT * ((VOCABULARY + SHIFT) / SHIFT) ** share - SHIFT))
