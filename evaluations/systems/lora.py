"""LoRA adapters, merged into the model that lies beside them: W + (alpha / r) B A (Hu et al. 2021).

Importing this brings torch. What an adapter may hold besides (DoRA, other scales, whole modules) is refused
by name: merged as plain LoRA, it would be another model than the one trained.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import load_file
from torch import nn

from evaluations.errors import EvaluationError
from evaluations.systems.safety import ADAPTER, ADAPTER_WEIGHTS, read_json

_PREFIX = "base_model.model."
_LARGEST = 2**20  # of r and alpha; no layer is so wide
_SIDES = (".lora_A.weight", ".lora_B.weight")
_BEYOND = (
    "use_dora", "use_rslora", "use_qalora", "fan_in_fan_out", "rank_pattern", "alpha_pattern",
    "modules_to_save", "layer_replication", "trainable_token_indices", "lora_bias", "target_parameters",
)  # fmt: skip


def merge_own_adapter(model: nn.Module, folder: Path) -> None:
    """Changes the model's weights where there is an adapter. Raises EvaluationError `MODEL-ADAPTER`."""
    if not (folder / ADAPTER).is_file():
        return
    rank, scale = _rank_and_scale(folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        _refuse(f"{ADAPTER} has no {ADAPTER_WEIGHTS} beside it")
    for name, (down, up) in _pairs(load_file(folder / ADAPTER_WEIGHTS)).items():
        linear = _linear(model, name)
        change = (up.shape[0], down.shape[1])
        if change != tuple(linear.weight.shape):
            _refuse(f"{name}: B A has shape {change}, the weight {tuple(linear.weight.shape)}")
        if up.shape[1] != down.shape[0]:
            _refuse(f"{name}: A has rank {down.shape[0]}, B has rank {up.shape[1]}")
        if down.shape[0] != rank:
            problem = f"{name}: A and B have rank {down.shape[0]}, and {ADAPTER} says r is {rank}"
            _refuse(f"{problem}, which would scale them wrongly; correct it")
        merged = linear.weight.detach() + scale * (up.float() @ down.float())
        # A new tensor: a head tied to the embeddings changes alone, as it does beside an unmerged adapter.
        linear.weight = nn.Parameter(merged, requires_grad=False)


def _rank_and_scale(folder: Path) -> tuple[int, float]:
    """r, and alpha / r, of a plain LoRA."""
    config: Any = read_json(folder / ADAPTER, ADAPTER)
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        _refuse(f'{ADAPTER} does not say "peft_type": "LORA"; merge the adapter and submit the whole')
    for key in _BEYOND:
        if config.get(key):
            _refuse(f"{ADAPTER} uses {key}, which is not merged here; merge the adapter and submit the whole")
    if config.get("bias") not in (None, "none"):
        _refuse(f"{ADAPTER} trains biases, which are not merged here; merge the adapter and submit the whole")
    rank: Any = config.get("r")
    alpha: Any = config.get("lora_alpha")
    numbers = type(rank) is int and type(alpha) in (int, float)
    if not numbers or not 1 <= rank <= _LARGEST or not abs(alpha) <= _LARGEST:
        _refuse(f"{ADAPTER} needs a whole number r from 1 and a number lora_alpha, both to {_LARGEST:,}")
    return rank, float(alpha / rank)


def _pairs(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A and B by the name of the weight's module. Raises for any tensor that is neither."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        side = next((side for side in _SIDES if name.endswith(side)), None)
        if side is None or tensor.dim() != 2:
            _refuse(f"{ADAPTER_WEIGHTS}: {name} is no matrix A or B of a linear layer")
        found.setdefault(name.removeprefix(_PREFIX).removesuffix(side), {})[side] = tensor
    half = [name for name, sides in found.items() if len(sides) < 2]
    if half or not found:
        _refuse(
            f"{ADAPTER_WEIGHTS} holds only one of A and B for {half[0]}" if half else "it holds no tensor"
        )
    return {name: (sides[_SIDES[0]], sides[_SIDES[1]]) for name, sides in found.items()}


def _linear(model: nn.Module, name: str) -> nn.Linear:
    try:
        module = model.get_submodule(name)
    except AttributeError:
        _refuse(f"{ADAPTER_WEIGHTS}: the model has no module {name}")
    if not isinstance(module, nn.Linear):
        _refuse(f"{ADAPTER_WEIGHTS}: {name} is no linear layer")
    return module


def _refuse(problem: str) -> NoReturn:
    raise EvaluationError("MODEL-ADAPTER", problem)
