"""A sentence-transformers CrossEncoder as a function from pairs of texts to scores. Importing brings torch.

Scores are the model's raw numbers (logits): a sigmoid on top would keep their order and make ties of the high
ones. Pairs go in longest first, in an order of their texts alone, so that the batches, and with them the last
bits, do not depend on the order in which pairs were found. Equal pairs are read once. Of the texts no more
than `PAIRS` are held.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder
from sentence_transformers.util import batch_to_device

from evaluations.encoding.batches import Features, encoded
from evaluations.encoding.forms import DENSE, DenseForm
from evaluations.encoding.library import MODEL_KWARGS
from evaluations.encoding.settings import Settings, prepare
from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.systems import safety
from evaluations.systems.abilities import Side
from evaluations.systems.base import Runtime, Value
from evaluations.systems.loading import loading_from, require_all_stored

Pair = tuple[str, str]  # a query and a document
Key = tuple[int, str, bytes]  # of a pair: in this order pairs are read
Float32 = NDArray[np.float32]

PAIRS = 4096  # sorted into batches together
LARGEST = np.finfo(np.float32).max / 4  # of a score: what follows the reranked is below it
_PROBE = ("a query", "a document")


class Pairs(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> Pair: ...


@dataclass(frozen=True)
class PairModel:
    """A loaded CrossEncoder in two steps, as `batches.TextModel` says; a pair's vector is its one score."""

    model: CrossEncoder

    @property
    def form(self) -> DenseForm:
        return DENSE

    @property
    def module(self) -> torch.nn.Module:
        return self.model

    @property
    def floats_per_token(self) -> int:
        return 0

    @property
    def floats_per_text(self) -> int:
        return 1

    def tokenise(self, texts: Sequence[Any], side: Side) -> dict[str, Any]:
        return dict(self.model.preprocess(list(texts), prompt=self.model._resolve_prompt(None, None)))

    def forward(self, features: Features, side: Side) -> Float32:
        """Shape (pairs, 1)."""
        found = self.model(batch_to_device(dict(features), self.model.device))["scores"]
        scores: Float32 = found.float().reshape(-1, 1).cpu().numpy()
        return scores


@dataclass(frozen=True)
class PairScorer:
    """A loaded model with what it runs on."""

    model: CrossEncoder
    settings: Settings

    @classmethod
    def load(cls, folder: Path, options: Mapping[str, Value], runtime: Runtime) -> "PairScorer":
        """Raises EvaluationError `HEAD-MISSING`, `MODEL-KIND`, `MODEL-LOAD`, `OPTION-RANGE`."""
        settings = prepare(runtime, str(options["precision"]))
        model = _model(folder, settings.device)
        _set_max_length(model, options["max_length"])
        return cls(model.eval(), settings)

    def on_threads(self, threads: int) -> "PairScorer":
        """The same model; batches at once are as many as threads."""
        return replace(self, settings=replace(self.settings, threads=threads))

    def scores(self, pairs: Pairs, advance: Callable[[int], None]) -> Float32:
        """Shape (pairs,), finite. Raises EvaluationFailed `RERANKING`."""
        distinct = _distinct(pairs)
        found = np.empty(len(pairs), dtype=np.float32)
        for start in range(0, len(distinct), PAIRS):
            chunk = distinct[start : start + PAIRS]

            def of_chunk(rows: Sequence[int], chunk: list[list[int]] = chunk) -> None:
                advance(sum(len(chunk[row]) for row in rows))

            scores = self._scored([pairs[places[0]] for places in chunk], of_chunk)
            for places, score in zip(chunk, scores, strict=True):
                found[places] = score
        return found

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def config(self) -> Mapping[str, object]:
        inner = self.model.config
        return cast("Mapping[str, object]", inner.to_dict()) if inner is not None else {}

    def provenance(self) -> dict[str, str | int | None]:
        return {**self.settings.facts(), "max_length": self.model.max_seq_length}

    def _scored(self, pairs: list[Pair], advance: Callable[[Sequence[int]], None]) -> Float32:
        """A failure here is the machine's or the libraries', and ends the evaluation with its reason."""
        try:
            found = encoded(PairModel(self.model), pairs, "query", self.settings, advance)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            problem = f"reranking failed: {type(error).__name__}: {error}"
            raise EvaluationFailed("RERANKING", problem) from error
        scores = found[:, 0]
        if not (np.abs(scores) < LARGEST).all():
            raise EvaluationFailed("RERANKING", "the model gave scores that are not finite numbers")
        return scores


def _model(folder: Path, device: str) -> CrossEncoder:
    _check_kind(folder)
    with loading_from(folder) as missing:
        model: CrossEncoder = CrossEncoder(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs=dict(MODEL_KWARGS),
        )
        require_all_stored(missing)
        _check_one_number(model, folder)
    return model


def _check_kind(folder: Path) -> None:
    """sentence-transformers would ask a bare causal model for `yes` or `no`, with no word of instruction."""
    config = folder / "config.json"
    named = safety.read_json(config, config.name) if config.is_file() else {}
    architectures = named.get("architectures") or () if isinstance(named, dict) else ()
    if not (folder / safety.MODULES).is_file() and any("ForCausalLM" in str(name) for name in architectures):
        problem = f"{folder.name} is a causal language model that does not say which number is its score"
        hint = "save it as a CrossEncoder with sentence-transformers, its LogitScore and prompt with it"
        raise EvaluationError("MODEL-KIND", f"{problem}; {hint}")


def _check_one_number(model: CrossEncoder, folder: Path) -> None:
    if model.num_labels != 1:
        problem = f"{folder.name} gives {model.num_labels} numbers for a pair; a reranker gives one"
        raise EvaluationError("MODEL-KIND", f"{problem} (num_labels 1)")
    with torch.inference_mode():
        shape = _raw_scores(model, [_PROBE]).shape
    if shape != (1,):
        raise EvaluationError("MODEL-KIND", f"{folder.name} gives shape {shape} for a pair, not one number")


def _raw_scores(model: CrossEncoder, pairs: list[Pair]) -> Float32:
    found: Any = model.predict(
        cast("Any", pairs), batch_size=len(pairs), show_progress_bar=False, activation_fn=torch.nn.Identity()
    )
    return np.asarray(found, dtype=np.float32)


def _set_max_length(model: CrossEncoder, max_length: Value) -> None:
    if not isinstance(max_length, int):
        return
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and max_length > positions:
        problem = f"option max_length: {max_length} is more than the model's {positions} positions"
        raise EvaluationError("OPTION-RANGE", problem)
    model.max_seq_length = max_length


def _distinct(pairs: Pairs) -> list[list[int]]:
    """The places of each distinct pair, the longest first."""
    places: dict[Key, list[int]] = {}
    for place in range(len(pairs)):
        places.setdefault(_key(pairs[place]), []).append(place)
    return [places[key] for key in sorted(places)]


def _key(pair: Pair) -> Key:
    """Fewer bytes than the texts: a digest stands for the document's."""
    query, document = pair
    content = document.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return -len(query) - len(document), query, digest
