"""Sparse encoders made of a causal language model, as Echo-Mistral-SPLADE. Importing this brings torch.

A causal model sees only what comes before a token, so the text is given twice and only the second copy's
tokens are pooled: each of them has seen the whole text. What would follow the second copy, no pooled token
sees, so it is left out. Sources: Springer et al. 2024 (echo embeddings); Doshi et al. 2024 (Mistral-SPLADE).
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.systems.base import Value
from evaluations.systems.encoder import MODEL_KWARGS
from evaluations.systems.loading import loading_from, require_all_stored
from evaluations.systems.lora import merge_own_adapter
from evaluations.systems.sparse_vectors import Side, saturated

PLACE = "{text}"


@dataclass(frozen=True)
class Template:
    """Tokens before the first copy and, where there are two, between both. One copy: `between` is None."""

    before: tuple[int, ...]
    between: tuple[int, ...] | None

    @classmethod
    def parse(cls, text: str, tokenizer: Any) -> "Template":
        """`text` has `{text}` once or twice; a backslash and n is a line break, for one-line forms.

        Raises EvaluationError `OPTION-RANGE`.
        """
        parts = text.replace("\\n", "\n").split(PLACE)
        if len(parts) not in (2, 3):
            problem = f"a template has {PLACE} twice, or once for no echo, not {len(parts) - 1} times"
            raise EvaluationError("OPTION-RANGE", f"{problem}: {text[:100]!r}")
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
    normalised: bool = False

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

    def encode(self, texts: list[str], side: Side) -> torch.Tensor:
        copies = self._copies(texts, side)
        rows = [self.templates[side].filled(copy) for copy in copies]
        first = min(len(row) - len(copy) for row, copy in zip(rows, copies, strict=True))
        logits = self._logits(rows, first)
        pooled = [
            _greatest(of_text[len(row) - len(copy) - first : len(row) - first])
            for of_text, row, copy in zip(logits, rows, copies, strict=True)
        ]
        return saturated(torch.stack(pooled), "relu")

    def limit(self, side: Side) -> int | None:
        return self.limits[side]

    def terms(self) -> int:
        return int(self.model.config.get_text_config().vocab_size)

    def side_parameters(self, side: Side) -> int:
        return self.parameters

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

    def _logits(self, rows: list[list[int]], first: int) -> torch.Tensor:
        """Of the tokens from `first` on, shape (rows, tokens, V). Unshifted: at a token's place are its own.

        Padded on the right, where causal attention never looks from a token that counts.
        """
        longest = max(map(len, rows))
        if first == longest:  # only empty texts
            return torch.zeros((len(rows), 0, self.terms()), device=self.model.device)
        padded = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros_like(padded)
        for place, row in enumerate(rows):
            padded[place, : len(row)] = torch.tensor(row, dtype=torch.long)
            mask[place, : len(row)] = 1
        device = self.model.device
        inputs = {"input_ids": padded.to(device), "attention_mask": mask.to(device), "use_cache": False}
        if "logits_to_keep" not in inspect.signature(self.model.forward).parameters:
            found: torch.Tensor = self.model(**inputs).logits[:, first:]
            return found
        kept: torch.Tensor = self.model(**inputs, logits_to_keep=longest - first).logits
        return kept


def _greatest(logits: torch.Tensor) -> torch.Tensor:
    """Of each term over the tokens, shape (V,); a text without tokens has no terms."""
    return logits.amax(dim=0) if len(logits) else logits.new_zeros(logits.shape[1])


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
