"""The same exact dense search on a GPU, by torch: bit for bit the results of dense.py.

Documents come to the device a block at a time, so that a corpus need not fit it. Products in float32, never
in TF32 or bf16, select; what lies within their bound of the k-th place is computed again in float64, in
steps of single additions and so in dense_kernels.py's order, whatever the device.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaluations.search.dense import DenseIndex, Float32
from evaluations.search.dense_kernels import SUMS
from evaluations.search.found import Found, require_finite, require_range, rounding_bounds

if TYPE_CHECKING:
    from torch import Tensor

BLOCKS = 16  # of the index, at once on the device
QUERY_BLOCK = 1024
PAIRS = 1 << 15  # of a query and a document, computed at once in float64
_NO_KEY = -(1 << 63)
_MAGNITUDE = 0x7FFFFFFF


@dataclass(frozen=True, eq=False)
class TorchDenseIndex:
    """An index whose documents stay where they are. `ranks` and `rows` of DenseIndex, on the device."""

    index: DenseIndex
    ranks: "Tensor"
    rows: "Tensor"

    @classmethod
    def from_index(cls, index: DenseIndex, device: str) -> "TorchDenseIndex":
        import torch

        arrays = (index.ranks.astype(np.int64), index.rows.astype(np.int64))
        return cls(index, *(torch.from_numpy(array).to(device) for array in arrays))

    def __len__(self) -> int:
        return len(self.index)

    def search(
        self, queries: Float32, k: int, on_queries_done: Callable[[int], None] = lambda _: None
    ) -> list[Found]:
        """As `DenseIndex.search`, for `QUERY_BLOCK` queries at a time."""
        norms = np.linalg.norm(queries.astype(np.float64), axis=1)
        require_finite("query", norms)
        require_range(norms.max(initial=0.0) * self.index.longest.max(initial=0.0))
        k = max(0, min(k, len(self)))
        found: list[Found] = []
        with _whole_float32():
            for start in range(0, len(queries), QUERY_BLOCK):
                here = slice(start, start + QUERY_BLOCK)
                found += self._search_block(queries[here], norms[here], k)
                on_queries_done(len(norms[here]))
        return found

    def _search_block(self, queries: Float32, norms: NDArray[np.float64], k: int) -> list[Found]:
        import torch

        device = self.ranks.device
        on_device = torch.from_numpy(queries).to(device)
        best = torch.full((len(queries), k), _NO_KEY, device=device)
        for first in range(0, len(self.index.longest) if k else 0, BLOCKS):
            longest = float(self.index.longest[first : first + BLOCKS].max())
            bounds = torch.from_numpy(rounding_bounds(norms, longest, queries.shape[1])).to(device)
            start, stop = (place * self.index.block_size for place in (first, first + BLOCKS))
            documents = torch.from_numpy(np.array(self.index.documents[start:stop])).to(device)
            best = _merged(best, on_device, documents, bounds, self.ranks[start:stop])
        return [self._found(row) for row in best]

    def _found(self, keys: "Tensor") -> Found:
        return Found(self.rows[keys & 0xFFFFFFFF].cpu().numpy(), _scores(keys).cpu().numpy())


def _merged(
    best: "Tensor", queries: "Tensor", documents: "Tensor", bounds: "Tensor", ranks: "Tensor"
) -> "Tensor":
    """The greatest keys (queries, k), descending, of the best so far and a block of documents."""
    import torch

    own, theirs = _candidates(queries @ documents.T, best, bounds).nonzero(as_tuple=True)
    keys = _keys(_exact(queries, own, documents, theirs), ranks[theirs])
    counts = torch.bincount(own, minlength=len(queries))
    column = torch.arange(len(own), device=own.device) - (torch.cumsum(counts, 0) - counts)[own]
    fresh = torch.full((len(queries), int(counts.max())), _NO_KEY, device=own.device)
    fresh[own, column] = keys
    return torch.cat([best, fresh], dim=1).topk(best.shape[1], dim=1).values


def _candidates(products: "Tensor", best: "Tensor", bounds: "Tensor") -> "Tensor":
    """Which documents may be among the first k, shape (queries, documents): see dense_kernels.py."""
    import torch

    bar = best[:, -1]
    least = torch.where(bar == _NO_KEY, -torch.inf, _scores(bar).double() - bounds)
    k = best.shape[1]
    if products.shape[1] > k:
        kth = products.topk(k, dim=1).values[:, -1]
        least = torch.maximum(least, kth.double() - 2.0 * bounds)
    below = torch.nextafter(least.float(), torch.tensor(-torch.inf, device=least.device))
    return products >= below[:, None]


def _exact(queries: "Tensor", own: "Tensor", documents: "Tensor", theirs: "Tensor") -> "Tensor":
    """Float64 products of pairs, rounded to float32, shape (pairs,)."""
    import torch

    scores = torch.empty(len(own), device=own.device)
    for start in range(0, len(own), PAIRS):
        here = slice(start, start + PAIRS)
        products = queries[own[here]].double() * documents[theirs[here]].double()
        sums = products.new_zeros((len(products), SUMS))
        for place in range(0, products.shape[1], SUMS):
            lanes = products[:, place : place + SUMS]
            sums[:, : lanes.shape[1]] += lanes
        while sums.shape[1] > 1:
            half = sums.shape[1] // 2
            sums = sums[:, :half] + sums[:, half:]
        scores[here] = sums[:, 0]
    return scores


def _keys(scores: "Tensor", ranks: "Tensor") -> "Tensor":
    """Integers that sort as the one order does."""
    import torch

    bits = (scores + 0.0).view(torch.int32)  # + 0.0: -0.0 and 0.0 are one score
    return ((bits ^ ((bits >> 31) & _MAGNITUDE)).long() << 32) | ranks


def _scores(keys: "Tensor") -> "Tensor":
    import torch

    signed = (keys >> 32).int()
    return (signed ^ ((signed >> 31) & _MAGNITUDE)).view(torch.float32)


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Without the shorter formats that an encoder may have allowed: the rounding bound is float32's."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
