"""Setting weights to zero, one shot, and putting them back. Importing this brings torch.

What is zeroed are the weights of the smallest keys: their magnitudes, or numbers drawn at random. Keys are
whole numbers of 31 bits, so that the cut is found by counting, exactly and without sorting: 16 bits, then 15.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.base import SEED
from evaluations.sparsity.sweeps.matrices import Matrix

Keys = Callable[
    [int, torch.Tensor], torch.Tensor
]  # (number of the matrix, its weights) -> int32, the same shape

_LOW_BITS = 15
_BUCKETS = 1 << 16


@contextmanager
def kept(matrices: Sequence[Matrix]) -> Iterator[None]:
    """Afterwards the weights are what they were, bit by bit."""
    before = [matrix.weight.detach().clone() for matrix in matrices]
    try:
        yield
    finally:
        with torch.no_grad():
            for matrix, weight in zip(matrices, before, strict=True):
                matrix.weight.copy_(weight)


def magnitudes(_: int, weights: torch.Tensor) -> torch.Tensor:
    """The bits of |w|, which are ordered as |w| is."""
    return weights.detach().float().abs().contiguous().view(torch.int32)


def random_keys(number: int, weights: torch.Tensor) -> torch.Tensor:
    """Drawn uniformly, from 1 on; weights that are zero already come first. The same at each call."""
    generator = torch.Generator().manual_seed(SEED * 1_000_003 + number)
    drawn = torch.randint(1, 2**31 - 1, weights.shape, generator=generator, dtype=torch.int32)
    return drawn.to(weights.device).masked_fill_(weights.detach() == 0, 0)


def prune_together(matrices: Sequence[Matrix], share: float, keys: Keys) -> None:
    """Zeroes round(share * all) weights, over all matrices; zeros that are there count.

    Of equal keys at the cut, those of earlier matrices and earlier places go first.
    """
    wanted = round(share * sum(matrix.weight.numel() for matrix in matrices))
    cut, ties = _cut(matrices, wanted, keys)
    with torch.no_grad():
        for number, matrix in enumerate(matrices):
            found = keys(number, matrix.weight)
            gone = found < cut
            at_cut = (found == cut).flatten().nonzero().flatten()[:ties]
            gone.view(-1)[at_cut] = True
            ties -= len(at_cut)
            matrix.weight.masked_fill_(gone, 0)


def prune_apart(matrices: Sequence[Matrix], share: float, keys: Keys) -> None:
    """The same share in each matrix."""
    for matrix in matrices:
        prune_together([matrix], share, keys)


def prune_pattern(matrices: Sequence[Matrix], kept_of: int, group: int) -> None:
    """At most `kept_of` non-zeros in `group` consecutive inputs: the greatest, of equals the first.

    Raises EvaluationError `SWEEP-POINT` before anything is changed where a matrix has no whole groups.
    """
    for matrix in matrices:
        inputs = matrix.weight.shape[matrix.inputs]
        if inputs % group:
            problem = f"{matrix.name} has {inputs} inputs, which are no whole groups of {group}"
            raise EvaluationError("SWEEP-POINT", problem)
    with torch.no_grad():
        for matrix in matrices:
            by_inputs = matrix.weight.movedim(matrix.inputs, -1)
            grouped = by_inputs.reshape(*by_inputs.shape[:-1], -1, group)
            order = grouped.abs().argsort(dim=-1, descending=True, stable=True)
            lost = torch.zeros_like(grouped, dtype=torch.bool).scatter_(-1, order[..., kept_of:], True)
            changed = grouped.masked_fill(lost, 0).reshape(by_inputs.shape)
            matrix.weight.copy_(changed.movedim(-1, matrix.inputs))


def _cut(matrices: Sequence[Matrix], wanted: int, keys: Keys) -> tuple[int, int]:
    """The key at the cut and how many weights of that key are to be zeroed, beside all of smaller keys."""
    if wanted <= 0:
        return 0, 0
    high = _counted(matrices, lambda number, weight: keys(number, weight) >> _LOW_BITS)
    bucket, before = _place(high, wanted)

    def low_of_bucket(number: int, weight: torch.Tensor) -> torch.Tensor:
        found = keys(number, weight)
        return found[(found >> _LOW_BITS) == bucket] & ((1 << _LOW_BITS) - 1)

    low, within = _place(_counted(matrices, low_of_bucket), wanted - before)
    return (bucket << _LOW_BITS) + low, wanted - before - within


def _counted(matrices: Sequence[Matrix], bins: Keys) -> torch.Tensor:
    counts = torch.zeros(_BUCKETS, dtype=torch.int64)
    for number, matrix in enumerate(matrices):
        found = torch.bincount(bins(number, matrix.weight).flatten(), minlength=_BUCKETS)
        counts += found.cpu()
    return counts


def _place(counts: torch.Tensor, wanted: int) -> tuple[int, int]:
    """The first bin with which `wanted` are reached, and how many are in the bins before it."""
    sums = counts.cumsum(0)
    place = int((sums < wanted).sum())
    return place, int(sums[place - 1]) if place else 0
