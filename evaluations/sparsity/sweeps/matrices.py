"""Which tensors of a model are its prunable matrices, and where its MLPs are. Importing this brings torch.

Prunable are the weight matrices of attention and of MLPs or experts (docs/metrics.md). Embeddings, norms,
biases, routers and heads are not: they lie outside the transformer's layers, or are no linear maps of tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from evaluations.errors import EvaluationError

# By the last part of its name, or of its class's: it chooses experts, and is no part of what they compute.
_ROUTERS = ("gate", "router", "shared_expert_gate")
_DOWN_NAMES = ("down_proj", "wo", "Wo", "lin2", "fc2", "c_proj", "w2", "dense_4h_to_h")


@dataclass(frozen=True)
class Matrix:
    """A prunable weight. `inputs`: the axis of one output's inputs; stacked experts have an axis before."""

    name: str
    weight: nn.Parameter
    inputs: int


@dataclass(frozen=True)
class Down:
    """The linear map that reads an MLP's inner activations. `inputs`: the axis of its weight they lie on."""

    name: str
    module: nn.Module
    inputs: int

    @property
    def weight(self) -> torch.Tensor:
        weight: torch.Tensor = self.module.weight  # type: ignore[assignment]
        return weight


def prunable(module: nn.Module) -> list[Matrix]:
    """Each prunable matrix once. Raises EvaluationError `SWEEP-KIND` where the model has none."""
    found: dict[int, Matrix] = {}
    for name, layer in _in_layers(module):
        for matrix in _matrices(name, layer):
            found.setdefault(id(matrix.weight), matrix)
    if not found:
        raise EvaluationError("SWEEP-KIND", "the model has no matrices of attention or MLPs to be pruned")
    return list(found.values())


def down_projections(module: nn.Module) -> list[Down]:
    """Of plain MLPs, in the model's order; fused experts are not among them (see `fused_experts`)."""
    found: list[Down] = []
    hidden = {
        id(layer): size
        for model in _transformers(module)
        if (size := _hidden_size(model))
        for layer in model.modules()
    }
    for name, layer in _in_layers(module):
        axis = _inputs_axis(layer)
        if axis is None or "att" in name.lower() or _is_router(name, layer):
            continue
        shape = cast("torch.Tensor", layer.weight).shape
        into, out = shape[axis], shape[1 - axis]
        named = name.rpartition(".")[2] in _DOWN_NAMES or name.endswith("output.dense")
        if out == hidden.get(id(layer)) and (into != out or named):
            found.append(Down(name, layer, axis))
    return found


def fused_experts(module: nn.Module) -> list[tuple[str, Any]]:
    """Modules that hold all experts of a layer in stacked tensors, as transformers does."""
    return [(name, layer) for name, layer in _in_layers(module) if _is_fused(layer)]


def zeros(tensors: Iterator[torch.Tensor]) -> tuple[int, int]:
    """(exact zeros, elements) of all of them."""
    count = total = 0
    for tensor in tensors:
        count += int(tensor.numel() - torch.count_nonzero(tensor))
        total += tensor.numel()
    return count, total


def _in_layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of everything inside a transformer's list of layers, once each."""
    seen: set[int] = set()
    for model in _transformers(module):
        for list_name, layers in model.named_modules():
            for name, layer in layers.named_modules() if isinstance(layers, nn.ModuleList) else ():
                if id(layer) not in seen:
                    seen.add(id(layer))
                    yield f"{list_name}.{name}", layer


def _transformers(module: nn.Module) -> Iterator[PreTrainedModel]:
    return (each for each in module.modules() if isinstance(each, PreTrainedModel))


def _matrices(name: str, layer: nn.Module) -> Iterator[Matrix]:
    if _is_router(name, layer):
        return
    axis = _inputs_axis(layer)
    if axis is not None:
        yield Matrix(name, layer.weight, axis)  # type: ignore[arg-type]
    elif _is_fused(layer):
        axis = 1 if getattr(layer, "is_transposed", False) else 2
        for own, parameter in layer.named_parameters(recurse=False):
            if parameter.ndim == 3:
                yield Matrix(f"{name}.{own}", parameter, axis)


def _inputs_axis(layer: nn.Module) -> int | None:
    if isinstance(layer, nn.Linear):
        return 1
    return 0 if isinstance(layer, Conv1D) else None


def _is_fused(layer: nn.Module) -> bool:
    down = getattr(layer, "down_proj", None)
    return isinstance(down, nn.Parameter) and down.ndim == 3


def _is_router(name: str, layer: nn.Module) -> bool:
    return name.rpartition(".")[2] in _ROUTERS or type(layer).__name__.endswith("Router")


def _hidden_size(model: PreTrainedModel) -> int | None:
    size = getattr(model.config, "hidden_size", None) or getattr(model.config, "dim", None)
    return size if isinstance(size, int) else None
