"""How many experts a mixture asks for each token. Importing this brings torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.matrices import fused_experts

_NUMBERS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_ROUTED = ("top_k", "num_experts_per_tok")


@dataclass(frozen=True)
class Mixture:
    """The modules that say how many experts are asked, with the attribute that says it."""

    routers: tuple[tuple[nn.Module, str], ...]
    routed: int
    experts: int


def mixture(module: nn.Module) -> Mixture:
    """Raises EvaluationError `SWEEP-KIND` where the model has no experts that a router chooses."""
    experts = _experts(module)
    routers = tuple(
        (each, name)
        for each in module.modules()
        for name in _ROUTED
        if not isinstance(each, PreTrainedModel) and type(getattr(each, name, None)) is int
    )
    if not experts or not routers:
        raise EvaluationError("SWEEP-KIND", "the model is no mixture of experts: nothing is routed")
    first, name = routers[0]
    return Mixture(routers, getattr(first, name), experts)


@contextmanager
def routed(found: Mixture, experts: int) -> Iterator[None]:
    """Inside, so many experts are asked. Raises EvaluationError `SWEEP-POINT` where there are fewer."""
    if experts > found.experts:
        raise EvaluationError("SWEEP-POINT", f"a layer has {found.experts} experts, fewer than {experts}")
    before = [getattr(router, name) for router, name in found.routers]
    try:
        for router, name in found.routers:
            setattr(router, name, experts)
        yield
    finally:
        for (router, name), value in zip(found.routers, before, strict=True):
            setattr(router, name, value)


def active_parameters(module: nn.Module, found: Mixture, experts: int) -> int:
    """Parameters that a token passes through where `experts` of a layer's experts are asked."""
    parameters = sum(parameter.numel() for parameter in module.parameters())
    of_experts: int = sum(
        parameter.numel()
        for _, layer in fused_experts(module)
        for parameter in layer.parameters(recurse=False)
    )
    return parameters - of_experts + of_experts * experts // found.experts


def _experts(module: nn.Module) -> int:
    for model in module.modules():
        if isinstance(model, PreTrainedModel):
            for name in _NUMBERS:
                number = getattr(model.config, name, None)
                if type(number) is int and number > 1:
                    return number
    return 0
