"""What an index takes."""

from evaluations.tracks import Findings

FLOAT32_BYTES = 4
OFFSET_BYTES = 8


def dense_storage(documents: int, dimensions: int) -> Findings:
    """An exhaustive index of float32 vectors: the matrix, nothing beside it."""
    bytes_per_vector = dimensions * FLOAT32_BYTES
    return Findings(
        {
            "dimensions": dimensions,
            "bytes_per_vector": bytes_per_vector,
            "index_bytes": documents * bytes_per_vector,
        },
        details={
            "index_engine": "exhaustive",
            "index_dtype": "float32",
            "index_content": "the vectors, row by row",
        },
    )


def sparse_storage(index_bytes: int) -> Findings:
    """An inverted index of float32 weights, as the sparse search holds it."""
    return Findings(
        {"index_bytes": index_bytes},
        details={
            "index_engine": "term at a time",
            "index_dtype": "float32",
            "index_content": "postings (place 16 bits, weight 32 bits), offsets of terms, ranks of ids",
        },
    )


def multi_vector_storage(documents: int, vectors: int, dimensions: int) -> Findings:
    """An exhaustive index of several float32 vectors a document."""
    index_bytes = vectors * dimensions * FLOAT32_BYTES + (documents + 1) * OFFSET_BYTES
    return Findings(
        {
            "dimensions": dimensions,
            "bytes_per_vector": dimensions * FLOAT32_BYTES,
            "document_vectors_mean": vectors / documents,
            "bytes_per_document_mean": index_bytes / documents,
            "index_bytes": index_bytes,
        },
        details={
            "index_engine": "exhaustive",
            "index_dtype": "float32",
            "index_content": "the vectors, row by row, and each document's first row",
        },
    )
