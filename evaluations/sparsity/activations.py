"""Zeros of what an MLP holds inside, after its activation: what an activation-sparse machine could skip.

By hooks on the projections that read it. Importing this brings torch.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from evaluations.sparsity.names import ACTIVATION_METRICS
from evaluations.sparsity.tensor_names import place_of
from evaluations.tracks import Findings, not_applicable

NEAR_ZERO = 1e-3  # of the layer's root mean square
_DOWN = re.compile(
    r"(?:^|\.)(?:down_proj|wo|c_proj|fc2|lin2|w2|linear2|dense_4h_to_h|fc_out|ffn_output|output\.dense)$",
    re.IGNORECASE,
)
_FUSED = "act_fn"  # of experts in one tensor: their projections are no modules


@dataclass
class LayerActivations:
    """Counts of one layer over the sample. `near` counts |x| < 1e-3 of the root mean square."""

    elements: int = 0
    zeros: int = 0
    squares: float = 0.0
    near: int = 0

    @property
    def rms(self) -> float:
        return math.sqrt(self.squares / self.elements) if self.elements else 0.0

    def measure(self, inner: torch.Tensor) -> None:
        """The first pass: how many, how large, how many exact zeros."""
        self.elements += inner.numel()
        self.zeros += inner.numel() - int(torch.count_nonzero(inner))
        self.squares += float(inner.double().square().sum())

    def count_near(self, inner: torch.Tensor) -> None:
        """The second pass, once the root mean square is known."""
        self.near += int(torch.count_nonzero(inner.abs() < NEAR_ZERO * self.rms))


class ActivationProbe:
    """Attach it, run the sample, `second_pass()`, run it again."""

    def __init__(self, module: nn.Module) -> None:
        self.layers: dict[int, LayerActivations] = {}
        self._watched = dict(inner_layers(module))
        self._near = False

    def attach(self) -> list[Any]:
        """Handles to remove."""
        return [
            watched.register_forward_hook(self._after(layer))
            if name.endswith(_FUSED)
            else watched.register_forward_pre_hook(self._before(layer))
            for name, (layer, watched) in self._watched.items()
        ]

    def second_pass(self) -> None:
        self._near = True

    def _before(self, layer: int) -> Callable[..., None]:
        def hook(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            self._see(layer, arguments[0])

        return hook

    def _after(self, layer: int) -> Callable[..., None]:
        def hook(_: nn.Module, __: tuple[Any, ...], output: torch.Tensor) -> None:
            self._see(layer, output)

        return hook

    def _see(self, layer: int, inner: torch.Tensor) -> None:
        counts = self.layers.setdefault(layer, LayerActivations())
        (counts.count_near if self._near else counts.measure)(inner)


def inner_layers(module: nn.Module) -> Iterator[tuple[str, tuple[int, nn.Module]]]:
    """Name to layer and module: each MLP's last projection, or a fused expert's activation."""
    for name, child in module.named_modules():
        place = place_of(f"{name}.weight")
        if place.layer is None or place.part not in ("mlp", "expert"):
            continue
        fused = name.endswith(f"experts.{_FUSED}")
        if fused or (_DOWN.search(name) and getattr(child, "weight", None) is not None):
            yield name, (place.layer, child)


def activation_findings(layers: Mapping[int, LayerActivations]) -> Findings:
    """Shares over all elements of all layers, and a row a layer."""
    seen = {layer: counts for layer, counts in sorted(layers.items()) if counts.elements}
    if not seen:
        return not_applicable("no MLP was recognised in the model", *ACTIVATION_METRICS)
    elements = sum(counts.elements for counts in seen.values())
    rows = [
        {
            "layer": layer,
            "zeros_share": counts.zeros / counts.elements,
            "near_zeros_share": counts.near / counts.elements,
        }
        for layer, counts in seen.items()
    ]
    return Findings(
        {
            "activation_zeros_share": sum(counts.zeros for counts in seen.values()) / elements,
            "activation_near_zeros_share": sum(counts.near for counts in seen.values()) / elements,
        },
        details={"activations": {"layers": rows}},
    )
