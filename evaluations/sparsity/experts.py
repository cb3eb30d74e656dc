"""How evenly tokens go to the experts of a mixture. By hooks on the routers. Importing this brings torch."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evaluations.sparsity.names import EXPERT_METRICS
from evaluations.sparsity.parameters import Routing
from evaluations.sparsity.tensor_names import place_of
from evaluations.tracks import Findings, not_applicable

_NAME = re.compile(r"(?:^|\.)(?:gate|router)$")

Load = NDArray[np.int64]


def load_of(chosen: torch.Tensor, experts: int) -> Load:
    """How many tokens went to each expert, shape (experts,); `chosen` holds the experts of each token."""
    return np.bincount(chosen.reshape(-1).cpu().numpy(), minlength=experts).astype(np.int64)


def load_entropy(load: Load) -> float:
    """Entropy of the load over that of an even one: 1 where all get the same, 0 where one gets all."""
    shares = load[load > 0] / load.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(load))) + 0.0


class ExpertProbe:
    """The load of each layer's experts over the sample."""

    def __init__(self, module: nn.Module, routing: Routing | None) -> None:
        self.loads: dict[int, Load] = {}
        self._module = module
        self._routing = routing

    def attach(self) -> list[Any]:
        """Handles to remove."""
        if self._routing is None:
            return []
        handles = []
        for name, child in self._module.named_modules():
            place = place_of(f"{name}.weight")
            if place.part == "router" and place.layer is not None and _NAME.search(name):
                handles.append(child.register_forward_hook(partial(self._see, place.layer, self._routing)))
        return handles

    def _see(self, layer: int, routing: Routing, _: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        chosen = _chosen(output, routing)
        if chosen is not None:
            load = load_of(chosen, routing.experts)
            self.loads[layer] = self.loads.get(layer, np.zeros(routing.experts, dtype=np.int64)) + load


def expert_findings(loads: Mapping[int, Load], routing: Routing | None) -> Findings:
    """Means over layers; dead experts are those of all layers that no token of the sample went to."""
    if routing is None:
        return not_applicable("the model has no experts", *EXPERT_METRICS)
    found = Findings({"experts": routing.experts})
    if routing.routed is None:
        found |= not_applicable("the configuration does not say how many", "experts_per_token")
    else:
        found |= Findings({"experts_per_token": routing.routed})
    if not loads:
        return found | not_applicable("no router was seen at work", "expert_load_entropy", "dead_experts")
    rows = [
        {
            "layer": layer,
            "experts": len(load),
            "load_entropy": load_entropy(load),
            "dead": int(np.count_nonzero(load == 0)),
            "largest_share": float(load.max() / load.sum()),
        }
        for layer, load in sorted(loads.items())
    ]
    return found | Findings(
        {
            "expert_load_entropy": float(np.mean([load_entropy(load) for load in loads.values()])),
            "dead_experts": sum(int(np.count_nonzero(load == 0)) for load in loads.values()),
        },
        details={"experts": {"layers": rows}},
    )


def _chosen(output: Any, routing: Routing) -> torch.Tensor | None:
    """The experts that a router names, or the best k of its scores."""
    parts = output if isinstance(output, tuple) else (output,)
    tensors = [part for part in parts if isinstance(part, torch.Tensor)]
    for tensor in tensors:
        if tensor.dtype in (torch.int64, torch.int32):
            return tensor
    for tensor in tensors:
        if routing.routed is not None and tensor.shape[-1] == routing.experts:
            return tensor.topk(routing.routed, dim=-1).indices
    return None
