"""Texts for the bench of BM25: SciFact, and a synthetic corpus of any size.

Of the synthetic one, word r is drawn with probability proportional to 1 / (r + 2.7), a Zipf-Mandelbrot law.
The first words are English stop words, the others roots of three syllables with four endings, so that a
stemmer has work. Documents have 56 words on average, as MS MARCO's passages do, by a log-normal law, and are
independent of each other. A query is six words of a document.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WORDS, SHIFT, MEAN_LENGTH, QUERIES, QUERY_LENGTH, BLOCK = 500_000, 2.7, 56, 300, 6, 10_000
ENDINGS = ("", "s", "ing", "ed")
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvwyz" for vowel in "aeiou"]
ROOT = Path(__file__).resolve().parents[2]
Texts = dict[str, str]


def scifact() -> tuple[Texts, Texts] | None:
    """Documents and judged queries by id; None where the collection is absent."""
    from evaluations.datasets import load

    folder = Path(os.environ.get("SPARSEBOARD_SHARED_DATA", ROOT.parent / "shared" / "data")) / "scifact"
    if not folder.is_dir():
        return None
    dataset = load(str(folder))
    assert dataset.documents is not None
    return dict(zip(dataset.documents.ids, dataset.documents.texts, strict=True)), dict(dataset.queries)


def write(folder: Path, documents: int) -> None:
    """documents.txt and queries.txt, a text a line; the first documents of many are those of few."""
    rng = np.random.default_rng(1)
    asked = set(rng.integers(0, documents, QUERIES).tolist())
    with (folder / "documents.txt").open("w") as lines, (folder / "queries.txt").open("w") as queries:
        for number, text in enumerate(text for block in _blocks(documents) for text in block):
            lines.write(f"{text}\n")
            if number in asked:
                queries.write(f"{' '.join(rng.choice(text.split(), QUERY_LENGTH))}\n")


def read(folder: Path) -> tuple[Texts, Texts]:
    """What `write` wrote, by id."""
    documents, queries = (
        (folder / name).read_text().splitlines() for name in ("documents.txt", "queries.txt")
    )
    named = {f"d{number}": text for number, text in enumerate(documents)}
    return named, {f"q{number}": text for number, text in enumerate(queries)}


def _blocks(documents: int) -> Iterator[list[str]]:
    words, law = _words(), _law()
    for start in range(0, documents, BLOCK):
        rng = np.random.default_rng(start)
        lengths = np.maximum(1, rng.lognormal(np.log(MEAN_LENGTH) - 0.125, 0.5, BLOCK)).astype(np.int64)
        drawn = words[np.searchsorted(law, rng.random(int(lengths.sum())))]
        ends = np.cumsum(lengths)[: documents - start]
        yield [" ".join(drawn[end - length : end]) for end, length in zip(ends, lengths, strict=False)]


def _law() -> NDArray[np.float64]:
    weights = np.cumsum(1.0 / (np.arange(WORDS) + SHIFT))
    return np.asarray(weights / weights[-1])


def _words() -> NDArray[np.object_]:
    from bm25s.stopwords import STOPWORDS_EN

    made = [_root(rank // len(ENDINGS)) + ENDINGS[rank % len(ENDINGS)] for rank in range(WORDS)]
    return np.array([*STOPWORDS_EN, *made][:WORDS], dtype=object)


def _root(number: int) -> str:
    base = len(SYLLABLES)
    return "".join(SYLLABLES[number // base**place % base] for place in range(3))
