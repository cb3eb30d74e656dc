"""How much of attention is in a few keys. By hooks on attention modules. Importing this brings torch."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from evaluations.sparsity.names import ATTENTION_METRICS
from evaluations.sparsity.tensor_names import place_of
from evaluations.tracks import Findings, not_applicable

TOP_KEYS = 8  # the metric is named after it
SMALL = 1e-3
QUERY_TOKENS = 64
LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 4096)  # of a text, the last ones included


@dataclass(frozen=True)
class AttentionCounts:
    """Sums over heads, query tokens and texts. `rows`: those with more than 8 keys; `mass`: of their first 8.

    `cells`: that attention may use; `small`: of these, with a weight below 1e-3.
    """

    rows: float = 0
    mass: float = 0
    cells: float = 0
    small: float = 0

    def __add__(self, other: "AttentionCounts") -> "AttentionCounts":
        return AttentionCounts(
            self.rows + other.rows,
            self.mass + other.mass,
            self.cells + other.cells,
            self.small + other.small,
        )

    def times(self, weight: float) -> "AttentionCounts":
        return AttentionCounts(
            self.rows * weight, self.mass * weight, self.cells * weight, self.small * weight
        )

    def shares(self) -> dict[str, float | None]:
        return {
            "top_mass_share": self.mass / self.rows if self.rows else None,
            "small_entries_share": self.small / self.cells if self.cells else None,
        }


def attention_counts(weights: torch.Tensor, allowed: torch.Tensor | None = None) -> AttentionCounts:
    """Of the weights (..., queries, keys) after softmax. `allowed`: true where a query may look.

    It has a shape that the weights' broadcasts with, and leaves padded and masked cells out.
    """
    usable = torch.ones_like(weights, dtype=torch.bool)
    if allowed is not None:
        usable &= allowed
    kept = weights.masked_fill(~usable, 0.0)
    keys = usable.sum(dim=-1)
    long = keys > TOP_KEYS
    top = kept.topk(min(TOP_KEYS, kept.shape[-1]), dim=-1).values.double().sum(dim=-1)
    return AttentionCounts(
        rows=int(long.sum()),
        mass=float(top[long].sum()),
        cells=int(keys.sum()),
        small=int(((kept < SMALL) & usable).sum()),
    )


class AttentionProbe:
    """Counts by layer and by bucket of length; each text's weights once, where it first sees them."""

    def __init__(self, module: nn.Module) -> None:
        self.layers: dict[int, AttentionCounts] = {}
        self.buckets: dict[int, AttentionCounts] = {}
        self._module = module
        self._last: torch.Tensor | None = None

    def attach(self) -> list[Any]:
        """Handles to remove."""
        handles = []
        for name, child in self._module.named_modules():
            place = place_of(f"{name}.weight")
            if place.part == "attention" and place.layer is not None:
                see = partial(self._see, place.layer)
                handles.append(child.register_forward_hook(see, with_kwargs=True))
        return handles

    def _see(
        self, layer: int, _: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any], output: Any
    ) -> None:
        parts = output if isinstance(output, tuple) else ()
        if any(part is self._last for part in parts):  # a module around another hands the same on
            return
        weights = next((part for part in parts if _is_attention(part)), None)
        if weights is None:
            return
        self._last = weights
        allowed = _allowed(weights, [*arguments, *named.values()])
        rows = _evenly(weights.shape[-2])
        if allowed is not None and allowed.shape[-2] > 1:
            allowed = allowed[..., rows, :]
        counts = attention_counts(weights[..., rows, :], allowed).times(weights.shape[-2] / len(rows))
        bucket = bisect_left(LENGTHS, weights.shape[-1])
        self.layers[layer] = self.layers.get(layer, AttentionCounts()) + counts
        self.buckets[bucket] = self.buckets.get(bucket, AttentionCounts()) + counts


def attention_findings(
    layers: Mapping[int, AttentionCounts], buckets: Mapping[int, AttentionCounts]
) -> Findings:
    """Shares over everything seen, a row a layer and a row a bucket of length in tokens."""
    total = sum(layers.values(), AttentionCounts())
    if not total.cells:
        return not_applicable("no attention was seen at work", *ATTENTION_METRICS)
    shares = total.shares()
    found = Findings(
        dict(zip(ATTENTION_METRICS, shares.values(), strict=True)),
        details={
            "attention": {
                "layers": [{"layer": layer, **layers[layer].shares()} for layer in sorted(layers)],
                "lengths": [
                    {"tokens": _bucket(place), **buckets[place].shares()} for place in sorted(buckets)
                ],
                "top_keys": TOP_KEYS,
                "small": SMALL,
                "query_tokens_of_a_text_at_most": QUERY_TOKENS,
            }
        },
    )
    if total.rows:
        return found
    reason = f"no text of the sample has more than {TOP_KEYS} tokens"
    return found | not_applicable(reason, ATTENTION_METRICS[0])


def _evenly(queries: int) -> list[int]:
    """At most 64 of a text's tokens, for all: sorting the keys of each would cost as much as the text."""
    if queries <= QUERY_TOKENS:
        return list(range(queries))
    return [place * (queries - 1) // (QUERY_TOKENS - 1) for place in range(QUERY_TOKENS)]


def _is_attention(output: Any) -> bool:
    """Whether it is weights after softmax, shape (texts, heads, queries, keys): each row sums to 1."""
    if not isinstance(output, torch.Tensor) or output.dim() != 4 or not output.is_floating_point():
        return False
    return bool(((output.sum(dim=-1) - 1).abs() < 0.01).all()) and bool((output >= 0).all())


def _allowed(weights: torch.Tensor, arguments: Iterable[Any]) -> torch.Tensor | None:
    """What the module was given as its mask: added to the scores, or true where it may look."""
    texts, _, queries, keys = weights.shape
    for each in arguments:
        if not isinstance(each, torch.Tensor) or each.dim() != 4:
            continue
        if each.shape[0] in (1, texts) and each.shape[2] in (1, queries) and each.shape[3] == keys:
            return each if each.dtype == torch.bool else each > torch.finfo(each.dtype).min / 2
    return None


def _bucket(place: int) -> str:
    low = LENGTHS[place - 1] + 1 if place else 1
    return f"{low}-{LENGTHS[place]}" if place < len(LENGTHS) else f"{low} and more"
