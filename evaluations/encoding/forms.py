"""The three forms that vectors have: how rows are put together, chosen, and laid out for a file."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from evaluations.search.maxsim import TokenVectors

Float32 = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
Rows = NDArray[np.int64]
V = TypeVar("V")


class Form(Protocol[V]):
    """`V` holds the vectors of some texts, a text a row; late interaction has several vectors a row."""

    def join(self, parts: Sequence[V]) -> V:
        """Rows one after the other; at least one part."""

    def take(self, vectors: V, rows: Rows) -> V:
        """These rows in this order; a row may come twice."""

    def arrays(self, vectors: V) -> Arrays: ...

    def restored(self, arrays: Arrays) -> V:
        """From what `arrays` gave."""


class DenseForm:
    """Float32, shape (texts, dimensions)."""

    def join(self, parts: Sequence[Float32]) -> Float32:
        return np.concatenate(parts)

    def take(self, vectors: Float32, rows: Rows) -> Float32:
        return vectors[rows]

    def arrays(self, vectors: Float32) -> Arrays:
        return {"vectors": vectors}

    def restored(self, arrays: Arrays) -> Float32:
        return arrays["vectors"]


class SparseForm:
    """A csr_array (texts, V) of float32 without zeros, terms ascending."""

    def join(self, parts: "Sequence[csr_array[Any]]") -> "csr_array[Any]":
        return csr_array(vstack(list(parts), format="csr"))

    def take(self, vectors: "csr_array[Any]", rows: Rows) -> "csr_array[Any]":
        return vectors[rows]

    def arrays(self, vectors: "csr_array[Any]") -> Arrays:
        return {
            "weights": vectors.data,
            "terms": vectors.indices.astype(np.int32, copy=False),
            "offsets": vectors.indptr.astype(np.int64, copy=False),
            "dimensions": np.array([vectors.shape[1]], dtype=np.int64),
        }

    def restored(self, arrays: Arrays) -> "csr_array[Any]":
        offsets = arrays["offsets"]
        stored: Any = (arrays["weights"], arrays["terms"], offsets)
        return csr_array(stored, shape=(len(offsets) - 1, int(arrays["dimensions"][0])))


class TokenForm:
    """TokenVectors: a text's vectors are as many as it has tokens that keep one."""

    def join(self, parts: Sequence[TokenVectors]) -> TokenVectors:
        counts = np.concatenate([np.diff(part.offsets) for part in parts])
        return TokenVectors(np.concatenate([part.vectors for part in parts]), _offsets(counts))

    def take(self, vectors: TokenVectors, rows: Rows) -> TokenVectors:
        counts = vectors.counts(rows)
        offsets = _offsets(counts)
        places = np.arange(offsets[-1]) + np.repeat(vectors.offsets[rows] - offsets[:-1], counts)
        return TokenVectors(vectors.vectors[places], offsets)

    def arrays(self, vectors: TokenVectors) -> Arrays:
        return {"vectors": vectors.vectors, "offsets": vectors.offsets}

    def restored(self, arrays: Arrays) -> TokenVectors:
        return TokenVectors(arrays["vectors"], arrays["offsets"])


DENSE, SPARSE, TOKENS = DenseForm(), SparseForm(), TokenForm()


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])
