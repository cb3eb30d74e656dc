"""Exact sparse search and its peers, each as its users call it. All answer with positions, (queries, k)."""

import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tests.benchmarks import sparse_corpus as corpus

CORES = len(os.sched_getaffinity(0))


class Ours:
    version = "this"

    def __init__(self, folder: Path, documents: int, k: int, threads: int) -> None:
        from evaluations.search.sparse import SparseIndex

        blocks = corpus.blocks(folder, documents)
        self._index = SparseIndex.from_blocks(blocks, corpus.ranks(documents), corpus.VOCABULARY)
        self._queries, self._k, self.threads = corpus.queries()[1], k, threads
        self.index_bytes = self._index.nbytes

    def run(self) -> None:
        self._found = self._index.search(self._queries, self._k, threads=self.threads)

    def result(self) -> list[NDArray[np.int64]]:
        return [found.rows for found in self._found]

    def profile(self) -> dict[str, float]:
        """Seconds of one thread: everything, and the same without choosing the best."""
        whole = _shortest(lambda: self._index.search(self._queries, self._k, threads=1))
        return {"all_s": whole, "adding_s": _shortest(self._add)}

    def _add(self) -> None:
        from evaluations.search import kernels

        index, queries = self._index, self._queries
        sums = np.full(index.segment_size, kernels.UNTOUCHED)
        terms = queries.indices.astype(np.int32)
        _add_only(index.offsets, index.documents, index.impacts, terms, queries.data, sums)


class OursOneByOne(Ours):
    """As a service would: one query, one thread."""

    def run(self) -> None:
        queries = self._queries
        self._found = [
            self._index.search_one(
                queries.indices[start:end].astype(np.int32), queries.data[start:end], self._k
            )
            for start, end in zip(queries.indptr[:-1], queries.indptr[1:], strict=True)
        ]


class Scipy:
    """The product of CSR queries and the transposed CSR corpus, which is made once; then our top-k."""

    threads = 1
    version = f"scipy {version('scipy')}"

    def __init__(self, folder: Path, documents: int, k: int) -> None:
        self._by_term = corpus.whole(folder, documents).T.tocsr()
        self._queries, self._k, self._ranks = corpus.queries()[1], k, corpus.ranks(documents)
        self.index_bytes = _bytes(self._by_term)

    def run(self) -> None:
        from evaluations.search.order import top_k

        scores = self._queries @ self._by_term
        self._found = []
        for start, end in zip(scores.indptr[:-1], scores.indptr[1:], strict=True):
            rows = scores.indices[start:end]
            self._found.append(rows[top_k(scores.data[start:end], self._ranks[rows], self._k)])

    def result(self) -> list[NDArray[np.int64]]:
        return self._found

    def profile(self) -> dict[str, float]:
        return {}


class TorchSparse:
    """torch.sparse: the CSR corpus times dense queries (MKL), then torch.topk."""

    threads = CORES
    version = f"torch {version('torch')}"

    def __init__(self, folder: Path, documents: int, k: int) -> None:
        import torch

        matrix = corpus.whole(folder, documents)
        arrays = (torch.from_numpy(each) for each in (matrix.indptr, matrix.indices, matrix.data))
        self._documents = torch.sparse_csr_tensor(*arrays, size=matrix.shape, check_invariants=False)
        self._queries, self._k = torch.from_numpy(corpus.queries()[1].toarray().T.copy()), k
        self.index_bytes = _bytes(matrix)

    def run(self) -> None:
        self._found = (self._documents @ self._queries).T.topk(self._k).indices

    def result(self) -> list[NDArray[np.int64]]:
        return list(self._found.numpy())

    def profile(self) -> dict[str, float]:
        return {}


class SentenceTransformers:
    """`util.semantic_search` over sparse COO tensors, which is what SparseEncoder.encode gives."""

    threads = CORES
    version = f"sentence-transformers {version('sentence-transformers')}"

    def __init__(self, folder: Path, documents: int, k: int) -> None:
        self._documents = _coo(corpus.whole(folder, documents))
        self._queries, self._k = _coo(corpus.queries()[1]), k
        self.index_bytes = self._documents.values().nbytes + self._documents.indices().nbytes

    def run(self) -> None:
        from sentence_transformers import util

        self._hits = util.semantic_search(
            self._queries, self._documents, top_k=self._k, score_function=util.dot_score
        )

    def result(self) -> list[NDArray[np.int64]]:
        return [np.array([hit["corpus_id"] for hit in hits]) for hits in self._hits]

    def profile(self) -> dict[str, float]:
        return {}


class Seismic:
    """pyseismic-lsr, approximate; its documented defaults for building."""

    threads = CORES
    version = f"pyseismic-lsr {version('pyseismic-lsr')}"

    def __init__(self, folder: Path, documents: int, k: int, cut: int, heap_factor: float) -> None:
        import seismic

        stored = folder / "seismic"
        if not stored.with_suffix(".index.seismic").exists():
            self._build(folder, documents).save(str(stored))
        self._index = seismic.SeismicIndex.load(str(stored.with_suffix(".index.seismic")))
        self._k, self._cut, self._heap_factor = k, cut, heap_factor
        self._queries = _seismic_queries(corpus.queries()[1], seismic.get_seismic_string())
        self.index_bytes = 0  # it prints its size and gives it to no one

    def _build(self, folder: Path, documents: int) -> Any:
        import seismic

        dataset = seismic.SeismicDataset(dim=corpus.VOCABULARY)
        first = 0
        for block in corpus.blocks(folder, documents):
            names = [str(row) for row in range(first, first + block.shape[0])]
            dataset.add_documents_by_id(names, block.indices.astype(np.int64), block.data, block.indptr)
            first += block.shape[0]
        return seismic.SeismicIndex.build_from_dataset(dataset, num_threads=CORES)

    def run(self) -> None:
        self._hits = self._index.batch_search(
            *self._queries, self._k, self._cut, self._heap_factor, num_threads=CORES
        )

    def result(self) -> list[NDArray[np.int64]]:
        by_query = {hits[0][0]: [int(hit[2]) for hit in hits] for hits in self._hits if hits}
        return [np.array(by_query.get(name, []), dtype=np.int64) for name in self._queries[0]]

    def profile(self) -> dict[str, float]:
        return {}


def _seismic_queries(queries: csr_array, string: Any) -> tuple[Any, list[Any], list[Any]]:
    places = list(zip(queries.indptr[:-1], queries.indptr[1:], strict=True))
    tokens = [np.array([str(term) for term in queries.indices[a:b]], dtype=string) for a, b in places]
    names = np.array([str(row) for row in range(queries.shape[0])], dtype=string)
    return names, tokens, [queries.data[a:b] for a, b in places]


def _coo(matrix: csr_array) -> Any:
    import torch

    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    places = torch.from_numpy(np.stack([rows, matrix.indices.astype(np.int64)]))
    return torch.sparse_coo_tensor(
        places, torch.from_numpy(matrix.data), matrix.shape, is_coalesced=True, check_invariants=False
    )


def _bytes(matrix: csr_array) -> int:
    return matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes


def _shortest(work: Any) -> float:
    times = []
    for _ in range(4):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times[1:])


def _add_only(*arguments: Any) -> None:
    global _compiled
    if _compiled is None:
        from numba import njit

        from evaluations.search.kernels import add_postings

        def every_posting(offsets, documents, impacts, terms, weights, sums):  # type: ignore[no-untyped-def]
            for segment in range(len(offsets)):
                for place in range(len(terms)):
                    begin, end = offsets[segment, terms[place]], offsets[segment, terms[place] + 1]
                    add_postings(np.float64(weights[place]), documents[begin:end], impacts[begin:end], sums)

        _compiled = njit(every_posting)
    _compiled(*arguments)


_compiled: Any = None
