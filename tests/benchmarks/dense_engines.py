"""Exact dense search and its peers, each as its users call it. All answer with positions, (queries, k)."""

import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CORES = len(os.sched_getaffinity(0))
DIMENSIONS, BLOCK = 384, 65_536


def write(folder: Path, documents: int) -> None:
    """documents.npy: seeded, of length one, in no order."""
    path = folder / "documents.npy"
    stored = np.lib.format.open_memmap(path, "w+", np.float32, (documents, DIMENSIONS))
    generator = np.random.default_rng(0)
    for start in range(0, documents, BLOCK):
        stored[start : start + BLOCK] = _units(generator, len(stored[start : start + BLOCK]))
    stored.flush()


def queries(count: int) -> NDArray[np.float32]:
    return _units(np.random.default_rng(1), count)


def _units(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    vectors = generator.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class _Engine:
    threads = CORES
    version = "this"
    index_bytes = 0

    def __init__(self, folder: Path, count: int, k: int) -> None:
        self._queries, self._k = queries(count), k
        self._load(folder / "documents.npy")

    def _load(self, path: Path) -> None:
        self._documents = np.load(path)
        self.index_bytes = self._documents.nbytes

    def result(self) -> list[NDArray[np.int64]]:
        return list(self._found)

    def profile(self) -> dict[str, float]:
        return {}


class Ours(_Engine):
    def _load(self, path: Path) -> None:
        from evaluations.search.dense import DenseIndex

        documents = self._read(path)
        ranks = np.random.default_rng(2).permutation(len(documents))  # ids in no order, as real ids are
        self._index = DenseIndex.build(documents, ranks)
        self.index_bytes = self._index.nbytes

    def _read(self, path: Path) -> NDArray[np.float32]:
        return np.load(path)

    def run(self) -> None:
        self._found = [each.rows for each in self._index.search(self._queries, self._k)]

    def profile(self) -> dict[str, float]:
        """Processor seconds of the whole search, and of the products alone, both in one thread.

        The least of three turns of each, which alternate: other work on the machine slows the one or the
        other by more than the rest of the search takes.
        """
        import time

        def taken(work: Callable[[], object]) -> float:
            start = time.thread_time()
            work()
            return time.thread_time() - start

        turns = [(taken(self._search_alone), taken(self._multiply)) for _ in range(3)]
        return {"all_s": min(turn[0] for turn in turns), "products_s": min(turn[1] for turn in turns)}

    def _search_alone(self) -> None:
        self._index.search(self._queries, self._k, threads=1)

    def _multiply(self) -> None:
        """The search's products, in its blocks and in memory used again, and nothing of what follows them."""
        from evaluations.search.dense import QUERY_BLOCK
        from evaluations.search.threads import one_blas_thread_each

        size = self._index.block_size
        scratch = np.empty(QUERY_BLOCK * size, dtype=np.float32)
        with one_blas_thread_each():
            for start in range(0, len(self._index), size):
                documents = self._index.documents[start : start + size]
                for first in range(0, len(self._queries), QUERY_BLOCK):
                    queries = self._queries[first : first + QUERY_BLOCK]
                    block = scratch[: len(queries) * len(documents)].reshape(len(queries), -1)
                    np.matmul(queries, documents.T, out=block)


class OursMapped(Ours):
    """Documents stay in their file: what the process holds of it, the system may take back."""

    def _read(self, path: Path) -> NDArray[np.float32]:
        return np.load(path, mmap_mode="r")


class Faiss(_Engine):
    """faiss-cpu, IndexFlatIP. It leaves 500 queries of 384 dimensions to BLAS, 100 to loops of its own."""

    version = f"faiss-cpu {version('faiss-cpu')}"

    def _load(self, path: Path) -> None:
        import faiss

        self._index = faiss.IndexFlatIP(DIMENSIONS)
        stored = np.load(path, mmap_mode="r")
        for start in range(0, len(stored), BLOCK):
            self._index.add(np.ascontiguousarray(stored[start : start + BLOCK]))
        self.index_bytes = stored.nbytes

    def run(self) -> None:
        self._found = self._index.search(self._queries, self._k)[1]


class FaissBlas(Faiss):
    """The same with its switch set so that BLAS computes, as its earlier versions did from 20 queries on."""

    def _load(self, path: Path) -> None:
        import faiss

        super()._load(path)
        faiss.cvar.distance_compute_blas_threshold = 20


class Numpy(_Engine):
    """A product of blocks of documents that fit memory, argpartition of each and of their best together."""

    version = f"numpy {version('numpy')}"

    def run(self) -> None:
        rows, scores = [], []
        for start in range(0, len(self._documents), BLOCK):
            products = self._queries @ self._documents[start : start + BLOCK].T
            best = np.argpartition(products, -self._k, axis=1)[:, -self._k :]
            rows.append(best + start)
            scores.append(np.take_along_axis(products, best, axis=1))
        every, of = np.concatenate(scores, axis=1), np.concatenate(rows, axis=1)
        order = np.argsort(-every, axis=1)[:, : self._k]
        self._found = np.take_along_axis(of, order, axis=1)


class Torch(_Engine):
    """torch.matmul of blocks and topk, which is what sentence-transformers' semantic_search does."""

    version = f"torch {version('torch')}"

    def _load(self, path: Path) -> None:
        import torch

        super()._load(path)
        self._torch = torch.from_numpy(self._documents)
        self._torch_queries = torch.from_numpy(self._queries)

    def run(self) -> None:
        import torch

        rows, scores = [], []
        for start in range(0, len(self._torch), BLOCK):
            products = self._torch_queries @ self._torch[start : start + BLOCK].T
            best = products.topk(self._k, dim=1)
            rows.append(best.indices + start)
            scores.append(best.values)
        order = torch.cat(scores, dim=1).topk(self._k, dim=1).indices
        self._found = torch.cat(rows, dim=1).gather(1, order).numpy()
