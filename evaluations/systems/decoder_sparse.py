"""Sparse encoders made of a causal language model, as Echo-Mistral-SPLADE. Importing this brings torch.

A causal model sees only what comes before a token, so the text is given twice and only the second copy's
tokens are pooled: each of them has seen the whole text. What would follow the second copy, no pooled token
sees, so it is left out. Sources: Springer et al. 2024 (echo embeddings); Doshi et al. 2024 (Mistral-SPLADE).
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scipy.sparse import csr_array
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from evaluations.encoding.batches import Features
from evaluations.encoding.forms import SPARSE, SparseForm
from evaluations.encoding.library import MODEL_KWARGS
from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.systems.abilities import Side
from evaluations.systems.base import Value
from evaluations.systems.loading import loading_from, require_all_stored
from evaluations.systems.lora import merge_own_adapter
from evaluations.systems.model_profile import named_parameters
from evaluations.systems.sparse_folder import PLACE
from evaluations.systems.sparse_vectors import saturated, to_csr, words_of
from evaluations.systems.splade_pooling import kept_rows


@dataclass(frozen=True)
class Template:
    """Tokens before the first copy and, where there are two, between both. One copy: `between` is None."""

    before: tuple[int, ...]
    between: tuple[int, ...] | None

    @classmethod
    def parse(cls, text: str, tokenizer: Any) -> "Template":
        """`text` has `{text}` once or twice, as `check_options` saw; a backslash and n is a line break, for
        one-line forms.
        """
        parts = text.replace("\\n", "\n").split(PLACE)
        before = (*_opening(tokenizer), *_tokens(tokenizer, parts[0]))
        return cls(before, _tokens(tokenizer, parts[1]) if len(parts) == 3 else None)

    @property
    def copies(self) -> int:
        return 1 if self.between is None else 2

    @property
    def overhead(self) -> int:
        return len(self.before) + len(self.between or ())

    def filled(self, tokens: list[int]) -> list[int]:
        """Ends with the copy that is pooled."""
        first = [] if self.between is None else [*tokens, *self.between]
        return [*self.before, *first, *tokens]


@dataclass(frozen=True)
class DecoderSparse:
    """A loaded causal language model. `limits`: tokens of one copy; None where the model states no length."""

    model: Any
    tokenizer: Any
    templates: Mapping[Side, Template]
    limits: Mapping[Side, int | None]

    @classmethod
    def load(cls, folder: Path, options: Mapping[str, Value], device: str) -> "DecoderSparse":
        """Raises EvaluationError `HEAD-MISSING`, `MODEL-LOAD`, `MODEL-ADAPTER`, `OPTION-RANGE`."""
        with loading_from(folder) as missing:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, **MODEL_KWARGS
            )
        require_all_stored(missing)
        if getattr(model, "_hf_peft_config_loaded", False):
            problem = "transformers applied the adapter by itself, through peft; uninstall peft"
            raise EvaluationFailed("MODEL-ADAPTER", problem)
        merge_own_adapter(model, folder)
        documents = str(options["document_template"])
        texts: dict[Side, str] = {
            "document": documents,
            "query": str(options["query_template"] or documents),
        }
        templates = {side: Template.parse(text, tokenizer) for side, text in texts.items()}
        limits = {side: _limit(model, each, options["max_length"]) for side, each in templates.items()}
        return cls(model.eval().to(device), tokenizer, templates, limits)

    @property
    def form(self) -> SparseForm:
        return SPARSE

    @property
    def module(self) -> nn.Module:
        found: nn.Module = self.model
        return found

    @property
    def floats_per_token(self) -> int:
        return self.floats_per_text

    @property
    def floats_per_text(self) -> int:
        return int(self.model.config.get_text_config().vocab_size)

    def tokenise(self, texts: Sequence[str], side: Side) -> dict[str, Any]:
        """Padded on the right, where causal attention never looks from a token that counts.

        `pooled` marks the tokens of the last copy, (texts, tokens).
        """
        copies = self._copies(list(texts), side)
        rows = [self.templates[side].filled(copy) for copy in copies]
        shape = (len(rows), max(1, *map(len, rows)))
        found = {name: torch.zeros(shape, dtype=torch.long) for name in ("input_ids", "attention_mask")}
        found["pooled"] = torch.zeros(shape, dtype=torch.bool)
        for place, (row, copy) in enumerate(zip(rows, copies, strict=True)):
            found["input_ids"][place, : len(row)] = torch.tensor(row, dtype=torch.long)
            found["attention_mask"][place, : len(row)] = 1
            found["pooled"][place, len(row) - len(copy) : len(row)] = True
        return found

    def forward(self, features: Features, side: Side) -> "csr_array[Any]":
        pooled = features["pooled"]
        places = pooled.any(dim=0).nonzero()
        if not len(places):  # only empty texts
            return csr_array((len(pooled), self.floats_per_text), dtype="float32")
        first = int(places[0])
        logits = self._logits(features, first)
        texts = zip(logits, pooled[:, first:], strict=True)
        greatest = [kept_rows(of_text, mask).amax(dim=0) for of_text, mask in texts]
        return to_csr(saturated(torch.stack(greatest), "relu"))

    def limit(self, side: Side) -> int | None:
        return self.limits[side]

    def side_parameters(self, side: Side) -> list[tuple[str, int]]:
        return named_parameters(self.model)

    def words(self, texts: Sequence[str], side: Side) -> "csr_array[Any]":
        """Of the text alone, without the template's."""
        return words_of(self._copies(list(texts), side), self.tokenizer.all_special_ids, self.floats_per_text)

    def query_table(self) -> None:
        """A query goes through the model."""

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def config(self) -> Mapping[str, object]:
        config: Mapping[str, object] = self.model.config.to_dict()
        return config

    def _copies(self, texts: list[str], side: Side) -> list[list[int]]:
        limit = self.limits[side]
        cut = {"truncation": True, "max_length": limit} if limit is not None else {}
        found: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, **cut)["input_ids"]
        return found

    def _logits(self, features: Features, first: int) -> torch.Tensor:
        """Of the tokens from `first` on, (texts, tokens, V). Unshifted: at a token's place are its own."""
        device = self.model.device
        inputs = {name: features[name].to(device) for name in ("input_ids", "attention_mask")}
        inputs["use_cache"] = False
        if "logits_to_keep" not in inspect.signature(self.model.forward).parameters:
            found: torch.Tensor = self.model(**inputs).logits[:, first:]
            return found
        kept: torch.Tensor = self.model(**inputs, logits_to_keep=inputs["input_ids"].shape[1] - first).logits
        return kept


def _opening(tokenizer: Any) -> tuple[int, ...]:
    """The token that begins a text, where the tokeniser puts one."""
    begun = tokenizer("a")["input_ids"]
    return (begun[0],) if begun and begun[0] == tokenizer.bos_token_id else ()


def _tokens(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


def _limit(model: Any, template: Template, wanted: Value) -> int | None:
    """Tokens of one copy: those asked for, or as many as the model has positions for."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if positions is None:
        return wanted if isinstance(wanted, int) else None
    most = (int(positions) - template.overhead) // template.copies
    if most < 1 or (isinstance(wanted, int) and wanted > most):
        problem = f"the template leaves {most} of the model's {positions} positions to a copy"
        raise EvaluationError("OPTION-RANGE", f"option max_length: {problem}")
    return wanted if isinstance(wanted, int) else most
