"""Keeping the greatest inner activations of MLPs while a model encodes. Importing this brings torch."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.matrices import down_projections, fused_experts
from evaluations.sparsity.sweeps.selection import kth_smallest

_EXPERTS = "sparseboard_top_activations"


@dataclass
class Counts:
    """Of the inner activations that went through: how many, and how many of them are zero."""

    zeros: int = 0
    all: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, inner: torch.Tensor) -> None:
        """Batches may run side by side, each on a thread of its own: unguarded, some would not be counted."""
        zeros = int(inner.numel() - torch.count_nonzero(inner))
        with self._lock:
            self.zeros += zeros
            self.all += inner.numel()

    @property
    def share(self) -> float:
        return self.zeros / self.all if self.all else 0.0


def greatest(inner: torch.Tensor, zeroed: float, norms: torch.Tensor | None) -> torch.Tensor:
    """Each token's inner activations (..., width) with round(zeroed * width) of them set to zero.

    Those of smallest |h|, or with `norms` (width,) of smallest |h_j| * norms_j, are. Of equal ones the first
    are kept.
    """
    width = inner.shape[-1]
    count = round(zeroed * width)
    if not count:
        return inner
    scores = inner.abs() if norms is None else inner.abs() * norms
    cut = kth_smallest(scores, count)  # sorting would take longer than the model
    lost = scores <= cut
    too_many = lost.sum(dim=-1, keepdim=True) - count
    if bool(too_many.any()):
        tied = scores == cut
        lost &= ~(tied & (tied.cumsum(dim=-1) <= too_many))
    return inner.masked_fill(lost, 0)


@contextmanager
def top_activations(module: nn.Module, zeroed: float, *, weighted: bool) -> Iterator[Counts]:
    """Inside, every MLP of the model reads its greatest inner activations only.

    Raises EvaluationError `SWEEP-KIND` where no MLP is found.
    """
    counts = Counts()
    downs, experts = down_projections(module), fused_experts(module)
    if not downs and not experts:
        raise EvaluationError("SWEEP-KIND", "no MLP is found in the model's layers")
    with ExitStack() as stack:
        for down in downs:
            norms = _column_norms(down.weight, down.inputs) if weighted else None
            hook = _hook(zeroed, norms, counts)
            stack.callback(down.module.register_forward_pre_hook(hook).remove)
        if experts:
            stack.enter_context(_experts_replaced(module, experts, zeroed, counts, weighted=weighted))
        yield counts


def _hook(zeroed: float, norms: torch.Tensor | None, counts: Counts) -> Any:
    def keep_greatest(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        inner = greatest(inputs[0], zeroed, norms)
        counts.add(inner)
        return (inner, *inputs[1:])

    return keep_greatest


def _column_norms(weight: torch.Tensor, inputs: int) -> torch.Tensor:
    """The length of the weights that read each inner activation, shape (width,) or (experts, width)."""
    outputs = {0: 1, 1: 0}[inputs] if weight.ndim == 2 else {1: 2, 2: 1}[inputs]
    norms: torch.Tensor = torch.linalg.vector_norm(weight.detach().float(), dim=outputs)
    return norms


@contextmanager
def _experts_replaced(
    module: nn.Module, experts: list[tuple[str, Any]], zeroed: float, counts: Counts, *, weighted: bool
) -> Iterator[None]:
    """transformers computes stacked experts by a function that the model's configuration names."""
    for name, layer in experts:
        if getattr(layer, "has_post_expert_norm", False) or not hasattr(layer, "_apply_gate"):
            raise EvaluationError("SWEEP-POINT", f"{name}: experts of this form cannot be taken apart")
    norms = {
        id(layer): _column_norms(layer.down_proj, 1 if layer.is_transposed else 2) if weighted else None
        for _, layer in experts
    }

    def forward(
        layer: Any, hidden: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        return _experts_forward(layer, hidden, chosen, weights, zeroed, norms[id(layer)], counts)

    ALL_EXPERTS_FUNCTIONS.register(_EXPERTS, forward)
    configs = {id(each.config): each.config for each in module.modules() if isinstance(each, PreTrainedModel)}
    configs |= {id(layer.config): layer.config for _, layer in experts}
    before = {key: config._experts_implementation_internal for key, config in configs.items()}
    try:
        for config in configs.values():
            config._experts_implementation_internal = _EXPERTS
        yield
    finally:
        for key, config in configs.items():
            config._experts_implementation_internal = before[key]


def _experts_forward(
    layer: Any,
    hidden: torch.Tensor,
    chosen: torch.Tensor,
    weights: torch.Tensor,
    zeroed: float,
    norms: torch.Tensor | None,
    counts: Counts,
) -> torch.Tensor:
    """`hidden` (tokens, size), `chosen` and `weights` (tokens, experts a token); one expert at a time."""
    found = torch.zeros_like(hidden)
    up_name = "gate_up_proj" if layer.has_gate else "up_proj"
    for expert in sorted(set(chosen.flatten().tolist())):
        tokens, places = torch.where(chosen == expert)
        inner = _linear(layer, up_name, expert, hidden[tokens])
        inner = layer._apply_gate(inner) if layer.has_gate else layer.act_fn(inner)
        inner = greatest(inner, zeroed, None if norms is None else norms[expert])
        counts.add(inner)
        out = _linear(layer, "down_proj", expert, inner) * weights[tokens, places, None]
        found.index_add_(0, tokens, out.to(found.dtype))
    return found


def _linear(layer: Any, name: str, expert: int, inputs: torch.Tensor) -> torch.Tensor:
    weight = getattr(layer, name)[expert]
    bias = getattr(layer, f"{name}_bias")[expert] if layer.has_bias else None
    return nn.functional.linear(inputs, weight.T if layer.is_transposed else weight, bias)
