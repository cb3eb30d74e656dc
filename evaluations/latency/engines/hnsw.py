"""faiss' navigable small world graphs over dense vectors (Malkov and Yashunin 2018), by the inner product."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.latency.engines.base import Engine, Served
from evaluations.search.found import Found

LINKS, EF_CONSTRUCTION, EF_SEARCH = 32, 200, 64


def _build(documents: NDArray[np.float32], k: int, threads: int) -> Served:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexHNSWFlat(documents.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = EF_CONSTRUCTION, EF_SEARCH
    index.add(np.ascontiguousarray(documents))
    faiss.omp_set_num_threads(1)
    return Served(lambda query: _search(index, query, k), int(faiss.serialize_index(index).nbytes))


def _search(index: Any, query: NDArray[np.float32], k: int) -> Found:
    """Rows are -1 where fewer were found."""
    scores, rows = index.search(query, k)
    there = rows[0] >= 0
    return Found(rows[0][there], scores[0][there])


ENGINE = Engine(
    "hnsw",
    module="faiss",
    package="faiss-cpu",
    parameters={"links": LINKS, "ef_construction": EF_CONSTRUCTION, "ef_search": EF_SEARCH},
    build=_build,
)
