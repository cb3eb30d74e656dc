"""Operations of encoding a text: as they are done, and as if every product with a zero were skipped.

A multiplication and an addition count as two, as everywhere. Counted are matrix products (torch's counter),
not softmax, norms and activations. Importing this brings torch.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_aten = torch.ops.aten
# Where the two factors are among the arguments.
_PRODUCTS = {_aten.mm.default: 0, _aten.addmm.default: 1, _aten.bmm.default: 0, _aten.baddbmm.default: 1}


@dataclass(frozen=True)
class Compute:
    """Operations of one text. `claimed`: those whose factors are both no zero."""

    dense: int
    claimed: int


class ProductCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums what products with a zero factor would save.

    Of (..., m, k) (..., k, n), column k of the left meets row k of the right, so the pairs without a zero are
    the sum over k of their non-zeros' product. Weights, given by their storages' addresses, are counted once.
    """

    def __init__(self, weights: Collection[int] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.saved = 0
        self._weights = weights
        self._known: dict[tuple[Any, ...], torch.Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        place = _PRODUCTS.get(func)
        if place is None:
            return self._parts(func, args, named)
        left, right = args[place], args[place + 1]
        useful = int((self._nonzeros(left, -2) * self._nonzeros(right, -1)).sum())
        self.saved += 2 * (left.numel() * right.shape[-1] - useful)
        return func(*args, **named)

    def _parts(self, func: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """In inference mode a linear layer arrives whole: the products are inside it."""
        if isinstance(func, torch._ops.OpOverload):
            with self:
                found = func.decompose(*args, **named)
            if found is not NotImplemented:
                return found
        return func(*args, **named)

    def _nonzeros(self, tensor: torch.Tensor, dimension: int) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in self._weights:
            return torch.count_nonzero(tensor, dim=dimension)
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), dimension)
        if key not in self._known:
            self._known[key] = torch.count_nonzero(tensor, dim=dimension)
        return self._known[key]


class ComputeProbe:
    """Runs texts and counts. Weights that are tied or read by several texts are looked at once."""

    def __init__(self, module: nn.Module) -> None:
        pointers = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
        self._counter = ProductCounter(pointers)

    def run(self, work: Callable[[], object]) -> Compute:
        dense = FlopCounterMode(display=False)
        before = self._counter.saved
        with dense, self._counter:
            work()
        total = dense.get_total_flops()
        return Compute(total, total - (self._counter.saved - before))


def compute_metrics(side: str, texts: Iterable[Compute]) -> dict[str, float]:
    """Means over the texts of one side."""
    listed = list(texts)
    return {
        f"{side}_compute_flop": sum(each.dense for each in listed) / len(listed),
        f"{side}_compute_claimed_flop": sum(each.claimed for each in listed) / len(listed),
    }


@contextmanager
def eager(models: Iterable[Any]) -> Iterator[None]:
    """Attention and experts written out in plain products, which can be counted and looked into."""
    listed = [(model, _implementations(model)) for model in models]
    try:
        for model, (_, experts) in listed:
            model.set_attn_implementation("eager")
            if experts is not None:
                model.set_experts_implementation("eager")
        yield
    finally:
        for model, (attention, experts) in listed:
            model.set_attn_implementation(attention)
            if experts is not None:
                model.set_experts_implementation(experts)


def _implementations(model: Any) -> tuple[Any, Any]:
    experts = getattr(model.config, "_experts_implementation", None)
    return model.config._attn_implementation, experts if model._can_set_experts_implementation() else None
