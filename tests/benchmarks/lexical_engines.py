"""BM25 from texts to the first 1000 of each query, ours and bm25s as its users call it."""

import os
import time
from abc import ABC, abstractmethod
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import lexical_corpus as corpus

CORES = len(os.sched_getaffinity(0))
K = 1000
WARM = 2000  # documents that are gone through first: what is compiled, cached or not, is not timed


class _Engine(ABC):
    index_bytes = 0

    def __init__(self, folder: Path | None) -> None:
        """Of SciFact where `folder` is None, else of what lexical_corpus wrote there."""
        found = corpus.scifact() if folder is None else corpus.read(folder)
        assert found is not None
        texts, self._queries = found
        self._ids, self._texts = list(texts), list(texts.values())
        self._seconds: dict[str, float] = {}
        self._go(self._ids[:WARM], self._texts[:WARM])

    def run(self) -> None:
        self._found = self._go(self._ids, self._texts)

    def result(self) -> list[list[str]]:
        """The first 10 of each query."""
        return self._found

    def profile(self) -> dict[str, float]:
        """Seconds of the last run's parts."""
        return self._seconds

    @abstractmethod
    def _go(self, ids: list[str], texts: list[str]) -> list[list[str]]:
        """From texts to the first 10 of each query."""


class Ours(_Engine):
    """The kind `bm25`, as an evaluation calls it."""

    version = "this"
    threads = CORES

    def _go(self, ids: list[str], texts: list[str]) -> list[list[str]]:
        from evaluations.datasets import Documents
        from evaluations.progress import Progress
        from evaluations.systems import Runtime
        from evaluations.systems.bm25 import KIND

        progress = Progress()
        system = KIND.load(KIND.spec(), Runtime())
        system.index(Documents(ids, texts), progress)
        run = system.retrieve(self._queries, K, progress)
        took = progress.durations_s
        self._seconds = {"index": took["encoding"], "retrieve": took["searching"]}
        return [list(ranked.document_ids[:10]) for ranked in run.lists.values()]


class Bm25s(_Engine):
    version = f"bm25s {version('bm25s')}"

    def __init__(self, folder: Path | None, backend: str, threads: int) -> None:
        self._backend, self.threads = backend, threads or 1
        self._n_threads = threads
        super().__init__(folder)

    def _go(self, ids: list[str], texts: list[str]) -> list[list[str]]:
        import bm25s
        import Stemmer

        stemmer, quiet = Stemmer.Stemmer("english"), {"show_progress": False}
        started = time.perf_counter()
        tokens = bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, **quiet)
        tokenised = time.perf_counter()
        retriever: Any = bm25s.BM25(backend=self._backend)
        retriever.index(tokens, **quiet)
        indexed = time.perf_counter()
        asked = bm25s.tokenize(list(self._queries.values()), stopwords="en", stemmer=stemmer, **quiet)
        found, _ = retriever.retrieve(asked, k=min(K, len(texts)), n_threads=self._n_threads, **quiet)
        self._seconds = {
            "tokenise": tokenised - started,
            "index": indexed - tokenised,
            "retrieve": time.perf_counter() - indexed,
        }
        return [[ids[place] for place in row[:10]] for row in np.asarray(found)]
