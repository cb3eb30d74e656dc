"""Attention over some of the keys, in place of a model's own. Importing this brings torch.

It is eager attention with one more mask, so that what is left out is left out exactly. transformers calls it
by the name that the model's configuration gives.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.selection import kth_smallest

NAME = "sparseboard_some_keys"
# Arguments by which some models add to the scores; attention without them would be another model's.
_BEYOND = ("s_aux", "position_bias", "head_mask", "attention_bias", "relative_position_bias")

# Scores (texts, heads, queries, keys), and which of them are allowed: which are kept. The latter two may be
# the same for all texts or heads, and then have an axis of 1 there, or none.
Choice = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class Counts:
    """Pairs of a token and a key it might see, over all heads and layers, and those that were kept."""

    allowed: int = 0
    kept: int = 0
    calls: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def left_out(self) -> float:
        return 1.0 - self.kept / self.allowed if self.allowed else 0.0

    def add(self, scores: torch.Tensor, allowed: torch.Tensor, seen: torch.Tensor) -> None:
        """`seen` (..., queries, 1): keys kept. A token that does not see itself is padding, and left out."""
        if scores.shape[-1] != scores.shape[-2]:
            self._count(0, 0)
            return
        real = allowed.diagonal(dim1=-2, dim2=-1)[..., None]
        whole = (*scores.shape[:-1], 1)
        self._count(
            int((allowed.sum(dim=-1, keepdim=True) * real).expand(whole).sum()),
            int((seen * real).expand(whole).sum()),
        )

    def _count(self, allowed: int, kept: int) -> None:
        """Batches run side by side, each on a thread of its own: unguarded, some would not be counted."""
        with self._lock:
            self.calls += 1
            self.allowed += allowed
            self.kept += kept


def window(keys: int) -> Choice:
    """Keys at most so many tokens before or after."""

    def near(scores: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        queries, there = scores.shape[-2:]
        places = torch.arange(there, device=scores.device)
        of_query = torch.arange(there - queries, there, device=scores.device)
        return (places[None, :] - of_query[:, None]).abs() <= keys

    return near


def top(keys: int) -> Choice:
    """The keys of the greatest scores, for each head and token; those that tie with the last stay too."""

    def greatest(scores: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        if scores.shape[-1] <= keys:
            return torch.ones_like(allowed)
        hidden = scores if bool(allowed.all()) else torch.where(allowed, scores, -torch.inf)
        return hidden >= kth_smallest(hidden, hidden.shape[-1] - keys + 1)

    return greatest


@contextmanager
def some_keys(module: nn.Module, choice: Choice) -> Iterator[Counts]:
    """Inside, the model's attention sees the chosen keys only. Raises EvaluationError `SWEEP-POINT`."""
    counts = Counts()

    def attend(
        _: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        softcap: float | None = None,
        **others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        added = [name for name in _BEYOND if others.get(name) is not None]
        if added:
            problem = f"this architecture's attention adds {added[0]}, which is not taken apart here"
            raise EvaluationError("SWEEP-POINT", problem)
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        kept = _chosen(scores, attention_mask, choice, counts)
        hidden = torch.where(kept, scores, torch.finfo(scores.dtype).min)
        weights = hidden.float().softmax(dim=-1).to(query.dtype)
        return (weights @ value).transpose(1, 2).contiguous(), weights

    ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, eager_mask)
    with _named(module):
        yield counts


def _chosen(scores: torch.Tensor, mask: torch.Tensor | None, choice: Choice, counts: Counts) -> torch.Tensor:
    """Which pairs are kept; a token without any, as padding may be, keeps what it was allowed."""
    queries, keys = scores.shape[-2:]
    if mask is None:
        allowed = torch.ones((1, 1, queries, keys), dtype=torch.bool, device=scores.device)
    else:
        allowed = (mask[..., :keys] > torch.finfo(mask.dtype).min / 2).expand(-1, -1, queries, -1)
    kept = choice(scores, allowed) & allowed
    seen = kept.sum(dim=-1, keepdim=True)
    counts.add(scores, allowed, seen)
    return kept if bool(seen.all()) else torch.where(seen > 0, kept, allowed)


@contextmanager
def _named(module: nn.Module) -> Iterator[None]:
    models = [each for each in module.modules() if isinstance(each, PreTrainedModel)]
    for model in models:
        if not model._can_set_attn_implementation():
            problem = f"the attention of {type(model).__name__} cannot be replaced"
            raise EvaluationError("SWEEP-POINT", problem)
    configs = {id(model.config): model.config for model in models}
    before = {key: config._attn_implementation_internal for key, config in configs.items()}
    try:
        for config in configs.values():
            config._attn_implementation_internal = NAME
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation_internal = before[key]
