"""Sparse encoders that sentence-transformers loads: SPLADE, with a query side of its own, autoencoders.

Queries go through `encode_query`, documents through `encode_document`: `encode` takes a router's document
side for both. Importing this brings torch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from torch import nn

from evaluations.errors import EvaluationError
from evaluations.systems.base import Value
from evaluations.systems.encoder import MODEL_KWARGS, SIMILARITIES, reads_pooler
from evaluations.systems.inference_free import idf_router
from evaluations.systems.loading import loading_from, require_all_stored
from evaluations.systems.sparse_folder import Form
from evaluations.systems.sparse_vectors import Side
from evaluations.systems.splade_pooling import take_greatest_first

_HUB: Mapping[str, Any] = {"trust_remote_code": False, "local_files_only": True}


@dataclass(frozen=True)
class SentenceSparse:
    """A loaded SparseEncoder. `prompts` by side; None leaves the model's own."""

    model: SparseEncoder
    normalised: bool
    prompts: Mapping[Side, str | None]

    @classmethod
    def load(cls, folder: Path, form: Form, options: Mapping[str, Value], device: str) -> "SentenceSparse":
        """Raises EvaluationError `HEAD-MISSING`, `MODEL-...`, `OPTION-RANGE`, `IDF-WEIGHTS`."""
        with loading_from(folder) as missing:
            model = _loaded(folder, form, options["activation"] or "relu", device)
        require_all_stored(missing, unused_prefixes=() if reads_pooler(model) else ("pooler.",))
        take_greatest_first(model)
        _set_max_length(model, options["max_length"])
        similarity = str(model.similarity_fn_name)
        if similarity not in SIMILARITIES:
            problem = f"{folder.name} compares vectors by {similarity}; only cosine and dot are searched"
            raise EvaluationError("MODEL-SIMILARITY", problem)
        prompts = {side: cast("str | None", options[f"{side}_prompt"]) for side in _SIDES}
        return cls(model.eval(), similarity == "cosine", prompts)

    def encode(self, texts: list[str], side: Side) -> torch.Tensor:
        encode = self.model.encode_query if side == "query" else self.model.encode_document
        prompt = self.prompts[side]
        settings: dict[str, Any] = {} if prompt is None else {"prompt": prompt}
        found: Any = encode(
            texts,
            batch_size=len(texts),
            show_progress_bar=False,
            convert_to_tensor=True,
            convert_to_sparse_tensor=False,
            **settings,
        )
        return cast("torch.Tensor", found)

    def limit(self, side: Side) -> int | None:
        return getattr(self._route(side)[0], "max_seq_length", None)

    def terms(self) -> int:
        return int(cast("int", self.config.get("vocab_size") or self.model.get_embedding_dimension() or 1))

    def side_parameters(self, side: Side) -> int:
        modules = [module for module in self._route(side) if not isinstance(module, SparseStaticEmbedding)]
        parameters = {id(each): each.numel() for module in modules for each in module.parameters()}
        return sum(parameters.values())

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def config(self) -> Mapping[str, object]:
        """Of the transformer that encodes documents; empty where there is none."""
        inner = getattr(self._route("document")[0], "auto_model", None)
        return cast("Mapping[str, object]", inner.config.to_dict()) if inner is not None else {}

    def _route(self, side: Side) -> list[nn.Module]:
        """The modules that a text of this side goes through."""
        return [module for each in self.model for module in _on_route(each, side)]


_SIDES: tuple[Side, Side] = ("query", "document")


def _loaded(folder: Path, form: Form, activation: Any, device: str) -> SparseEncoder:
    if form == "modules":
        return SparseEncoder(str(folder), device=device, model_kwargs=dict(MODEL_KWARGS), **_HUB)
    documents: list[nn.Module] = [
        Transformer(
            str(folder),
            transformer_task="fill-mask",
            model_kwargs={**MODEL_KWARGS, **_HUB},
            processor_kwargs=dict(_HUB),
            config_kwargs=dict(_HUB),
        ),
        SpladePooling("max", activation),
    ]
    modules: list[nn.Module] = documents if form == "masked" else [idf_router(folder, documents)]
    return SparseEncoder(modules=modules, device=device, similarity_fn_name="dot")


def _on_route(module: nn.Module, side: Side) -> Iterator[nn.Module]:
    if isinstance(module, Router):
        route: Any = module._resolve_route(task=side, modality="text")
        yield from cast("nn.Sequential", module.sub_modules[route])
    else:
        yield module


def _set_max_length(model: SparseEncoder, max_length: Value) -> None:
    """On both sides: a static embedding looks at its tokeniser only."""
    if not isinstance(max_length, int):
        return
    for side in _SIDES:
        first: Any = next(_on_route(model[0], side))
        inner = getattr(first, "auto_model", None)
        positions = getattr(getattr(inner, "config", None), "max_position_embeddings", None)
        if positions is not None and max_length > positions:
            problem = f"option max_length: {max_length} is more than the model's {positions} positions"
            raise EvaluationError("OPTION-RANGE", problem)
        first.max_seq_length = max_length
        if isinstance(first, SparseStaticEmbedding):
            cast("Any", first.tokenizer).model_max_length = max_length
