"""What a tensor is, by its name: which part of a transformer, and in which layer."""

import re
from dataclasses import dataclass
from typing import Literal

Part = Literal["embedding", "attention", "mlp", "expert", "router", "norm", "head"]

PRUNABLE_PARTS = ("attention", "mlp", "expert")
_LAYER = re.compile(r"(?:^|\.)\w*?(?:layers?|blocks?|h)\.(\d+)\.")
_NORM = re.compile(r"norm|(?:^|\.)ln_|(?:^|\.)ln\d", re.IGNORECASE)
_EMBEDDING = re.compile(r"embed|(?:^|\.)w[tp]e\.|(?:^|\.)shared\.weight|relative_attention_bias|token_table")
_EXPERT = re.compile(r"(?:^|\.)experts\.")
_ROUTER = re.compile(r"(?:^|\.)(?:gate|router|shared_expert_gate)\.|router")
_ATTENTION = re.compile(r"attention|attn", re.IGNORECASE)
_OUTPUT = re.compile(
    r"(?:attention\.output\.dense|o_proj|out_proj|out_lin|c_proj|wo|\.o)\.weight$", re.IGNORECASE
)


@dataclass(frozen=True)
class Place:
    """Where a tensor is. `layer` None: outside the layers."""

    part: Part
    layer: int | None


def place_of(name: str) -> Place:
    """By the conventions of transformers and sentence-transformers; the first rule that fits counts.

    Outside the layers, what is neither norm nor embedding is a head (poolers and projections too).
    """
    found = _LAYER.search(name)
    layer = int(found.group(1)) if found else None
    return Place(_part(name, inside=layer is not None), layer)


def is_prunable(name: str, dimensions: int) -> bool:
    """Whether it is a weight matrix of attention, of an MLP or of experts, in a layer.

    Embeddings, norms, biases, routers and heads are not prunable.
    """
    place = place_of(name)
    return dimensions >= 2 and place.layer is not None and place.part in PRUNABLE_PARTS


def is_attention_output(name: str) -> bool:
    """Whether it is the projection that takes in the heads' results side by side."""
    return place_of(name).part == "attention" and bool(_OUTPUT.search(name))


def _part(name: str, *, inside: bool) -> Part:
    if _NORM.search(name):
        return "norm"
    if _EMBEDDING.search(name):
        return "embedding"
    if not inside:
        return "head"
    if _EXPERT.search(name):
        return "expert"
    if _ATTENTION.search(name):
        return "attention"
    return "router" if _ROUTER.search(name) else "mlp"
