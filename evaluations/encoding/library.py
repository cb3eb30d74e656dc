"""What the models of sentence-transformers share. Importing this brings torch.

`encode_query` and `encode_document` of the library choose a prompt and a task, tokenise and run a batch; this
does the same in steps of its own. Tests hold it against the library's own vectors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
from sentence_transformers.util import batch_to_device
from torch import nn

from evaluations.encoding.batches import Features
from evaluations.errors import EvaluationError
from evaluations.systems.abilities import Side
from evaluations.systems.base import Value

SIDES: tuple[Side, Side] = ("query", "document")
SIMILARITIES = ("cosine", "dot")
STATIC = (StaticEmbedding, SparseStaticEmbedding)
# fp32 whatever the file holds: precision is an option of the system, never the checkpoint's choice.
MODEL_KWARGS: Mapping[str, Any] = {"use_safetensors": True, "dtype": torch.float32}
_PROMPT_NAMES: Mapping[Side, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}


@dataclass(frozen=True)
class LibraryModel:
    """A loaded model. `prompts` by side; None leaves the model's own."""

    model: BaseModel
    prompts: Mapping[Side, str | None]

    @property
    def module(self) -> nn.Module:
        return self.model

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def config(self) -> Mapping[str, object]:
        """Of the transformer that encodes documents; empty where there is none."""
        inner = getattr(self.route("document")[0], "auto_model", None)
        return cast("Mapping[str, object]", inner.config.to_dict()) if inner is not None else {}

    def prompt(self, side: Side) -> str | None:
        """As `encode_query` and `encode_document` choose it."""
        if self.prompts[side] is not None:
            return self.prompts[side]
        own = next((name for name in _PROMPT_NAMES[side] if name in self.model.prompts), None)
        return self.model._resolve_prompt(None, own)

    def tokenise(self, texts: Sequence[Any], side: Side) -> dict[str, Any]:
        return dict(self.model.preprocess(list(texts), prompt=self.prompt(side), task=side))

    def run(self, features: Features, side: Side, **settings: Any) -> dict[str, Any]:
        """All that the modules give, on the model's device. `features` stays as it is."""
        moved = batch_to_device(dict(features), self.model.device)
        found: dict[str, Any] = self.model(moved, task=side, **settings)
        return found

    def route(self, side: Side) -> list[nn.Module]:
        """The modules that a text of this side goes through."""
        return [module for each in self.model for module in on_route(each, side)]

    def looks_up(self, side: Side) -> bool:
        """Whether a text of this side goes through no computation but that of its tokens' stored vectors."""
        modules = [module for module in self.route(side) if not isinstance(module, STATIC)]
        parameters = any(True for module in modules for _ in module.parameters())
        return len(modules) < len(self.route(side)) and not parameters

    def limit(self, side: Side) -> int | None:
        """The longest text in tokens; None where there is no limit."""
        limit = getattr(self.route(side)[0], "max_seq_length", None)
        return limit if isinstance(limit, int) else None


def prompts(options: Mapping[str, Value]) -> dict[Side, str | None]:
    return {side: cast("str | None", options[f"{side}_prompt"]) for side in SIDES}


def on_route(module: nn.Module, side: Side) -> Iterator[nn.Module]:
    if isinstance(module, Router):
        route: Any = module._resolve_route(task=side, modality="text")
        yield from cast("nn.Sequential", module.sub_modules[route])
    else:
        yield module


def set_max_length(model: BaseModel, max_length: Value) -> None:
    """On each side that cuts its texts: a static table of queries need not.

    Raises EvaluationError `OPTION-RANGE`, and `OPTION-UNUSED` where neither side would look at it.
    """
    if not isinstance(max_length, int):
        return
    firsts = [next(on_route(model[0], side)) for side in SIDES]
    taken = [_takes_max_length(first, max_length) for first in firsts]
    if not any(taken):
        names = " and ".join(dict.fromkeys(type(first).__name__ for first in firsts))
        problem = f"option max_length: it does nothing for {names}, where whole texts are read"
        raise EvaluationError("OPTION-UNUSED", f"{problem}; leave it unset")


def _takes_max_length(first: Any, max_length: int) -> bool:
    """Sets it on the first module of a side; false where that reads whole texts."""
    inner = getattr(first, "auto_model", None)
    positions = getattr(getattr(inner, "config", None), "max_position_embeddings", None)
    if positions is not None and max_length > positions:
        problem = f"option max_length: {max_length} is more than the model's {positions} positions"
        raise EvaluationError("OPTION-RANGE", problem)
    if inner is not None:
        first.max_seq_length = max_length
    elif hasattr(getattr(first, "tokenizer", None), "model_max_length"):
        first.tokenizer.model_max_length = max_length  # a static embedding of queries looks at nothing else
    else:
        return False
    return True


def require_inner_product(model: BaseModel, name: str) -> bool:
    """Whether vectors are compared by their angle. Raises EvaluationError `MODEL-SIMILARITY`."""
    similarity = str(getattr(model, "similarity_fn_name", None) or "cosine")
    if similarity not in SIMILARITIES:
        problem = f"{name} compares vectors by {similarity}; only cosine and dot are searched"
        raise EvaluationError("MODEL-SIMILARITY", problem)
    return similarity == "cosine"


def reads_pooler(model: BaseModel) -> bool:
    """BERT's pooler is in few files, and in no computation where modules take the last hidden state."""
    transformers = [each for each in model.modules() if isinstance(each, Transformer)]
    outputs = [output for each in transformers for output in each.modality_config.values()]
    return any(output.get("method_output_name") != "last_hidden_state" for output in outputs)
