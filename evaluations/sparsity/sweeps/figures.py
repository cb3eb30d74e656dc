"""How sparse an operating point is: the same figures as the sparsity track's, of changed vectors."""

from typing import Any

from evaluations.sparsity.representation import column_counts, flops, without_zeros
from evaluations.sparsity.storage import FLOAT32_BYTES, OFFSET_BYTES
from evaluations.sparsity.sweeps.base import Facts
from evaluations.sparsity.sweeps.vectors import Encoded, Searcher

Figures = dict[str, float | int | None]

_OF_THE_CHANGE = ("impact_bits", "vector_bytes")  # known for the sizes below, and told by them


def figures(encoded: Encoded, facts: Facts, searcher: Searcher) -> Figures:
    """`index_bytes` and what goes with the form of the vectors, then what the change says of itself."""
    known = {name: value for name, value in facts.metrics.items() if name not in _OF_THE_CHANGE}
    if encoded.form == "sparse":
        return {**_sparse(encoded, facts, searcher), **known}
    return {**_dense(encoded, facts), **known}


def _sparse(encoded: Encoded, facts: Facts, searcher: Searcher) -> Figures:
    queries, documents = without_zeros(encoded.queries), without_zeros(encoded.documents)
    asked, frequency = column_counts(queries), column_counts(documents)
    shares = asked / queries.shape[0], frequency / documents.shape[0]
    return {
        **_active("query", queries),
        **_active("document", documents),
        "flops": flops(*shares),
        "postings_per_query_mean": float(frequency[queries.indices].sum() / queries.shape[0]),
        "index_bytes": _postings_bytes(encoded, facts, searcher),
    }


def _active(side: str, matrix: Any) -> Figures:
    rows, dimensions = matrix.shape
    return {
        f"{side}_active_dims_mean": matrix.nnz / rows,
        f"{side}_sparsity_ratio": 1.0 - matrix.nnz / (rows * dimensions),
    }


def _postings_bytes(encoded: Encoded, facts: Facts, searcher: Searcher) -> int:
    """Of the index as the sparse search holds it, its impacts in as many bits as the point gives them."""
    index = searcher.index(encoded)
    bits = int(facts.metrics.get("impact_bits") or 8 * FLOAT32_BYTES)
    return index.nbytes - int(index.impacts.nbytes) + -(-len(index.impacts) * bits // 8)


def _dense(encoded: Encoded, facts: Facts) -> Figures:
    """Vectors packed as the point has them; several a document need each document's first row beside."""
    vectors, dimensions = encoded.rows.shape
    stored = facts.metrics.get("vector_bytes")
    size = vectors * dimensions * FLOAT32_BYTES if stored is None else int(stored)
    found: Figures = {"dimensions": dimensions, "bytes_per_vector": dimensions * FLOAT32_BYTES}
    documents = len(encoded.document_ids)
    if encoded.form == "multi-vector":
        size += (documents + 1) * OFFSET_BYTES
        found["document_vectors_mean"] = vectors / documents
    return {**found, "index_bytes": size}
