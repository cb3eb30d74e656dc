"""What an index of dense vectors takes."""

from evaluations.tracks import Findings

FLOAT32_BYTES = 4


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
