"""How many parameters a model has, and how many of them one token passes through."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evaluations.sparsity.tensor_names import place_of
from evaluations.tracks import Findings, not_applicable

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_moe_experts")
_ROUTED = (
    "num_experts_per_tok", "num_experts_per_token", "moe_top_k", "moe_topk", "moe_k", "top_k_experts",
    "experts_per_token", "router_top_k",
)  # fmt: skip
_INSIDE = ("text_config", "ffn_config")

Named = tuple[str, int]


@dataclass(frozen=True)
class Routing:
    """Experts of a layer, and to how many of them a token goes; None where the configuration does not say."""

    experts: int
    routed: int | None


def routing_of(config: Mapping[str, object]) -> Routing | None:
    """As a transformers configuration names it; None for a model without experts."""
    for part in (config, *(config.get(name) for name in _INSIDE)):
        if isinstance(part, Mapping):
            experts, routed = _first(part, _EXPERTS), _first(part, _ROUTED)
            if experts is not None and experts > 1:
                return Routing(experts, routed)
    return None


def parameter_findings(parameters: Iterable[Named], config: Mapping[str, object]) -> Findings:
    """`parameters`, `non_embedding_parameters`, `active_parameters` of a model's named parameters.

    Active: those that one token passes through. Of each layer's experts a token passes through k of E, so
    their parameters count k / E; routers, shared experts and everything else count whole.
    """
    listed = list(parameters)
    total = sum(size for _, size in listed)
    embedding = sum(size for name, size in listed if place_of(name).part == "embedding")
    found = Findings({"parameters": total, "non_embedding_parameters": total - embedding})
    routing = routing_of(config)
    if routing is not None and routing.routed is None:
        reason = "the configuration does not say how many experts a token goes to"
        return found | not_applicable(reason, "active_parameters")
    return found | Findings({"active_parameters": active_parameters(listed, routing)})


def active_parameters(parameters: Iterable[Named], routing: Routing | None) -> int:
    """Parameters that one token passes through. Raises ValueError where it is not known how many experts."""
    listed = list(parameters)
    total = sum(size for _, size in listed)
    if routing is None:
        return total
    if routing.routed is None:
        raise ValueError("the number of experts that a token goes to is not known")
    experts = sum(size for name, size in listed if place_of(name).part == "expert")
    return total - experts + experts * routing.routed // routing.experts


def _first(config: Mapping[str, object], names: Iterable[str]) -> int | None:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None
