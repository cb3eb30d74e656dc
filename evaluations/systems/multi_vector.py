"""A sentence-transformers MultiVectorEncoder as a function from texts to several vectors each.

Importing this brings torch. Queries go through `encode_query` and documents through `encode_document`: they
differ in prompt, length, expansion and in which tokens keep a vector.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import safe_open
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Transformer
from transformers import PreTrainedModel

from evaluations.encoding.batches import Features
from evaluations.encoding.forms import TOKENS, TokenForm
from evaluations.encoding.library import MODEL_KWARGS, LibraryModel, prompts, reads_pooler
from evaluations.errors import EvaluationError
from evaluations.search.maxsim import TokenVectors
from evaluations.systems import safety
from evaluations.systems.abilities import Side
from evaluations.systems.base import Value
from evaluations.systems.loading import loading_from, require_all_stored

STANFORD = "HF_ColBERT"
STANFORD_HEAD = "linear.weight"


@dataclass(frozen=True)
class MultiVector(LibraryModel):
    """A loaded MultiVectorEncoder. `mean`: scores are divided by the number of the query's vectors."""

    @classmethod
    def load(cls, folder: Path, options: Mapping[str, Value], device: str) -> "MultiVector":
        """Raises EvaluationError `HEAD-MISSING`, `MODEL-KIND`, `MODEL-LOAD`, `OPTION-RANGE`."""
        model = _model(folder, device)
        for transformer in _transformers(model):
            _set_lengths(transformer, options["max_length"], options["query_length"])
        return cls(model.eval(), prompts(options))

    @property
    def form(self) -> TokenForm:
        return TOKENS

    @property
    def floats_per_token(self) -> int:
        return 0

    @property
    def floats_per_text(self) -> int:
        return 0

    @property
    def mean(self) -> bool:
        return cast("MultiVectorEncoder", self.model).similarity_fn_name == "meanmaxsim"

    def lengths(self) -> dict[str, int | None]:
        """Longest document and query in tokens, for provenance."""
        limits = [_lengths(transformer) for transformer in _transformers(self.model)]
        return limits[0] if limits else {}

    def forward(self, features: Features, side: Side) -> TokenVectors:
        """The vectors of the tokens that the model's mask keeps."""
        found = self.run(features, side)
        kept = found["attention_mask"].bool()
        vectors = found["token_embeddings"][kept].float().cpu().numpy()
        offsets = np.zeros(len(kept) + 1, dtype=np.int64)
        np.cumsum(kept.sum(dim=1).cpu().numpy(), out=offsets[1:])
        return TokenVectors(vectors, offsets)


def _model(folder: Path, device: str) -> MultiVectorEncoder:
    _check_kind(folder)
    with loading_from(folder) as missing:
        model = MultiVectorEncoder(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs=dict(MODEL_KWARGS),
        )
    require_all_stored(missing, unused_prefixes=() if reads_pooler(model) else ("pooler.",))
    _require_stored_heads(model, folder)
    return model


def _check_kind(folder: Path) -> None:
    """sentence-transformers would make a multi-vector model of any transformer, and of a dense encoder."""
    config = folder / "config.json"
    named = safety.read_json(config, config.name) if config.is_file() else {}
    if isinstance(named, dict) and STANFORD in (named.get("architectures") or ()):
        if STANFORD_HEAD not in {name for name, _ in _stored(folder)}:
            raise _head_missing(f"the projection {STANFORD_HEAD} is not in the model's files")
        return
    path = folder / safety.MODULES
    modules = safety.read_json(path, path.name) if path.is_file() else []
    if any(str(module.get("type", "")).endswith(".Pooling") for module in cast("list[Any]", modules)):
        problem = f"{folder.name} pools its vectors into one: it is a dense encoder"
        raise EvaluationError("MODEL-KIND", f"{problem}; submit it as dense")


def _require_stored_heads(model: MultiVectorEncoder, folder: Path) -> None:
    """Whatever is outside the transformer must be, number by number, in a file: the rest was drawn at random.

    Raises EvaluationError `HEAD-MISSING`.
    """
    inner = {
        id(each)
        for part in model.modules()
        if isinstance(part, PreTrainedModel)
        for each in part.parameters()
    }
    heads = {name: each for name, each in model.named_parameters() if id(each) not in inner}
    shapes = {tuple(each.shape) for each in heads.values()}
    stored = [tensor for _, tensor in _stored(folder, shapes)] if heads else []
    made = [name for name, head in heads.items() if not any(_are_equal(head, each) for each in stored)]
    if made:
        listed = ", ".join(sorted(made)[:5])
        raise _head_missing(f"{len(made)} tensors are not in the model's files and would be random: {listed}")


def _are_equal(head: torch.Tensor, stored: torch.Tensor) -> bool:
    """NaN too: what is in the file is not missing, whatever it is worth."""
    same = stored.shape == head.shape
    return same and torch.allclose(head.cpu(), stored.to(head.dtype), rtol=0, atol=0, equal_nan=True)


def _stored(folder: Path, shapes: set[tuple[int, ...]] | None = None) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and tensor of all stored ones with these shapes; without shapes the tensors stay unread."""
    for inner in safety.module_folders(folder):
        for path in sorted(inner.glob("*.safetensors")):
            with safe_open(path, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - it is no dict
                    if shapes is None:
                        yield name, torch.empty(0)
                    elif tuple(tensors.get_slice(name).get_shape()) in shapes:
                        yield name, tensors.get_tensor(name)


def _transformers(model: torch.nn.Module) -> Iterator[Transformer]:
    return (module for module in model.modules() if isinstance(module, Transformer))


def _set_lengths(transformer: Transformer, documents: Value, queries: Value) -> None:
    """A query that is filled up to a length is filled up to this one."""
    positions = getattr(transformer.config, "max_position_embeddings", None)
    for name, length in (("max_length", documents), ("query_length", queries)):
        if isinstance(length, int) and positions is not None and length > positions:
            problem = f"option {name}: {length} is more than the model's {positions} positions"
            raise EvaluationError("OPTION-RANGE", problem)
    if isinstance(documents, int):
        transformer.document_length = documents
    if not isinstance(queries, int):
        return
    expansion = transformer.query_expansion
    transformer.query_length = None if expansion else queries
    if expansion:
        transformer.query_expansion = cast("Any", {**expansion, "length": queries})


def _lengths(transformer: Transformer) -> dict[str, int | None]:
    expansion: Any = transformer.query_expansion or {}
    own = transformer.max_seq_length
    return {
        "max_length": transformer.document_length or own,
        "query_length": expansion.get("length") or transformer.query_length or own,
    }


def _head_missing(problem: str) -> EvaluationError:
    return EvaluationError("HEAD-MISSING", f"{problem}; store them")
