"""Strict, bounded readers of vectors that were encoded elsewhere. Nothing that a submitter sends is trusted.

A folder has `meta.json`, and `documents` and `queries` as sparse lines (`.jsonl`, `.jsonl.gz`), a sparse
matrix (`.npz`) or a dense one (`.npy`, `.safetensors`), matrices with their ids in `documents.ids.txt` and
`queries.ids.txt`. Every refusal names the file, the line or row, and how to mend it.
"""

from evaluations.systems.vector_files.checking import check_vectors
from evaluations.systems.vector_files.csr import read_csr
from evaluations.systems.vector_files.dense import DenseVectors, read_dense
from evaluations.systems.vector_files.folder import (
    DENSE,
    SPARSE_LINES,
    SPARSE_MATRIX,
    checksums,
    folder_for,
    suffix_of,
    vector_file,
)
from evaluations.systems.vector_files.ids import Selection
from evaluations.systems.vector_files.jsonl import Vocabulary, read_jsonl
from evaluations.systems.vector_files.limits import VectorLimits
from evaluations.systems.vector_files.meta import Meta, read_meta

__all__ = [
    "DENSE", "SPARSE_LINES", "SPARSE_MATRIX", "DenseVectors", "Meta", "Selection", "VectorLimits",
    "Vocabulary", "check_vectors", "checksums", "folder_for", "read_csr", "read_dense", "read_jsonl",
    "read_meta", "suffix_of", "vector_file",
]  # fmt: skip
