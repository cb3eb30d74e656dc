"""The same exact sparse search on a GPU, by torch: bit for bit the results of sparse.py.

Step t adds the postings of every query's t-th term. No document is twice among one term's postings, so no
two additions of a step meet, and each sum is made in the same order as on the processor, run after run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from evaluations.errors import EvaluationFailed
from evaluations.search import kernels
from evaluations.search.found import Found
from evaluations.search.sparse import Rows, SparseIndex, canonical, rows_between

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_BYTES = 1 << 31
_BYTES_A_SUM = 32  # the sum, its key, and what computing one from the other holds meanwhile
_NO_KEY = -(1 << 63)
_MAGNITUDE = 0x7FFFFFFF


@dataclass(frozen=True, eq=False)
class TorchSparseIndex:
    """Postings by term and document on a device. `ranks` and `rows` as in SparseIndex."""

    offsets: "Tensor"
    documents: "Tensor"
    impacts: "Tensor"
    ranks: "Tensor"
    rows: "Tensor"

    @classmethod
    def from_index(cls, index: SparseIndex, device: str) -> "TorchSparseIndex":
        """Needs memory for a second copy of the postings on the way."""
        import torch

        offsets = np.zeros(index.dimensions + 1, dtype=np.int64)
        np.cumsum(np.diff(index.offsets, axis=1).sum(axis=0, dtype=np.int64), out=offsets[1:])
        documents = np.empty(len(index.documents), dtype=np.int32)
        impacts = np.empty(len(index.impacts), dtype=np.float32)
        stored = (index.offsets, index.documents, index.impacts)
        kernels.merge_segments(*stored, index.segment_size, offsets.copy(), documents, impacts)
        arrays = (offsets, documents, impacts, index.ranks.astype(np.int64), index.rows.astype(np.int64))
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def __len__(self) -> int:
        return len(self.ranks)

    @property
    def nbytes(self) -> int:
        return sum(
            each.nbytes for each in (self.offsets, self.documents, self.impacts, self.ranks, self.rows)
        )

    def search(
        self, queries: csr_array[Any], k: int, on_queries_done: Callable[[int], None] = lambda _: None
    ) -> list[Found]:
        """As `SparseIndex.search`, a block of queries at a time, as many as `BLOCK_BYTES` allows."""
        rows = canonical(queries, len(self.offsets) - 1)
        size = max(1, BLOCK_BYTES // (_BYTES_A_SUM * max(1, len(self))))
        found: list[Found] = []
        for start in range(0, len(rows), size):
            block = rows_between(rows, start, min(start + size, len(rows)))
            found += self._best(self._sums(block), min(k, len(self)))
            on_queries_done(len(block))
        return found

    def _sums(self, queries: Rows) -> "Tensor":
        """Float64 inner products, shape (queries, documents); -0.0 where no term is shared."""
        import torch

        shape = (len(queries), len(self))
        sums = torch.full(shape, kernels.UNTOUCHED, dtype=torch.float64, device=self.impacts.device)
        terms_of = np.diff(queries.offsets)
        for step in range(int(terms_of.max(initial=0))):
            with_term = np.flatnonzero(terms_of > step)
            places = queries.offsets[with_term] + step
            self._add(sums.view(-1), with_term, queries.terms[places], queries.weights[places])
        return sums

    def _add(self, sums: "Tensor", queries: Any, terms: Any, weights: Any) -> None:
        import torch

        device = sums.device
        rows, columns = torch.from_numpy(queries).to(device), torch.from_numpy(terms).long().to(device)
        factors = torch.from_numpy(weights).double().to(device)
        counts = self.offsets[columns + 1] - self.offsets[columns]
        owner = torch.repeat_interleave(counts)
        before = torch.cumsum(counts, 0) - counts
        postings = torch.arange(len(owner), device=device) + (self.offsets[columns] - before)[owner]
        targets = rows[owner] * len(self) + self.documents[postings]
        sums[targets] += factors[owner] * self.impacts[postings].double()

    def _best(self, sums: "Tensor", k: int) -> list[Found]:
        import torch

        bits = (sums.float() + 0.0).view(torch.int32)  # + 0.0: -0.0 and 0.0 are one score
        signed = bits ^ ((bits >> 31) & _MAGNITUDE)  # integers that sort as the scores do
        keys = (signed.long() << 32) | self.ranks
        keys[sums.view(torch.int64) == _NO_KEY] = _NO_KEY  # the bits of -0.0
        best = torch.topk(keys, k, dim=1).values
        return [self._found(row[row != _NO_KEY]) for row in best]

    def _found(self, keys: "Tensor") -> Found:
        import torch

        signed = (keys >> 32).int()
        scores = (signed ^ ((signed >> 31) & _MAGNITUDE)).view(torch.float32)
        if not bool(torch.isfinite(scores).all()):
            raise EvaluationFailed("VECTORS", "the vectors are so long that their products leave float32")
        return Found(self.rows[keys & 0xFFFFFFFF].cpu().numpy(), scores.cpu().numpy())
