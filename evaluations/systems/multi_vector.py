"""A sentence-transformers MultiVectorEncoder as a function from texts to several vectors each.

Importing this brings torch. Queries go through `encode_query` and documents through `encode_document`: they
differ in prompt, length, expansion and in which tokens keep a vector.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Transformer
from transformers import PreTrainedModel

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.search.maxsim import TokenVectors
from evaluations.systems import safety
from evaluations.systems.base import Runtime, Value
from evaluations.systems.encoder import (
    MODEL_KWARGS,
    Advance,
    autocast,
    fp32_products,
    longest_first,
    prepare,
    processor_facts,
    reads_pooler,
)
from evaluations.systems.loading import loading_from, require_all_stored

BATCH_SIZE = 32
STANFORD = "HF_ColBERT"
STANFORD_HEAD = "linear.weight"

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Encoded:
    """`vectors.of` text i belongs to the text at `places[i]`: the longest texts come first."""

    vectors: TokenVectors
    places: NDArray[np.int64]


@dataclass(frozen=True)
class MultiVectorTextEncoder:
    """A loaded model with the settings of its spec. `mean`: scores are divided by the query's vectors."""

    model: MultiVectorEncoder
    device: str
    precision: str
    products: str
    query_prompt: str | None
    document_prompt: str | None

    @classmethod
    def load(cls, folder: Path, options: Mapping[str, Value], runtime: Runtime) -> "MultiVectorTextEncoder":
        """Raises EvaluationError `HEAD-MISSING`, `MODEL-KIND`, `MODEL-LOAD`, `OPTION-RANGE`."""
        device = prepare(runtime)
        model = _model(folder, device)
        for transformer in _transformers(model):
            _set_lengths(transformer, options["max_length"], options["query_length"])
        return cls(
            model=model.eval(),
            device=device,
            precision=str(options["precision"]),
            products=fp32_products(device),
            query_prompt=cast("str | None", options["query_prompt"]),
            document_prompt=cast("str | None", options["document_prompt"]),
        )

    def queries(self, texts: Sequence[str], advance: Advance) -> Encoded:
        """Raises EvaluationFailed `ENCODING`."""
        return self._encoded(self.model.encode_query, texts, self.query_prompt, advance)

    def documents(self, texts: Sequence[str], advance: Advance) -> Encoded:
        """Raises EvaluationFailed `ENCODING`."""
        return self._encoded(self.model.encode_document, texts, self.document_prompt, advance)

    @property
    def mean(self) -> bool:
        return self.model.similarity_fn_name == "meanmaxsim"

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def config(self) -> Mapping[str, object]:
        inner = next(_transformers(self.model), None)
        return cast("Mapping[str, object]", inner.config.to_dict()) if inner is not None else {}

    def provenance(self) -> dict[str, str | int | None]:
        facts = processor_facts(self.device, self.precision, self.products)
        limits = [_lengths(transformer) for transformer in _transformers(self.model)]
        return {**facts, "batch_size": BATCH_SIZE, **(limits[0] if limits else {})}

    def _encoded(
        self, encode: Callable[..., Any], texts: Sequence[str], prompt: str | None, advance: Advance
    ) -> Encoded:
        """Equal texts are encoded once, and each has a copy."""
        places = longest_first(texts)
        distinct = list(places)
        kept: list[int] = []
        rows = _GrowingRows()
        for start in range(0, len(distinct), BATCH_SIZE):
            batch = distinct[start : start + BATCH_SIZE]
            for text, found in zip(batch, self._vectors(encode, batch, prompt), strict=True):
                for place in places[text]:
                    kept.append(place)
                    rows.add(found)
            advance(sum(len(places[text]) for text in batch))
        return Encoded(rows.finished(), np.array(kept, dtype=np.int64))

    def _vectors(self, encode: Callable[..., Any], texts: list[str], prompt: str | None) -> list[Float32]:
        """A failure here is the machine's or the libraries', and ends the evaluation with its reason."""
        settings: dict[str, Any] = {} if prompt is None else {"prompt": prompt}
        try:
            with torch.inference_mode(), autocast(self.device, self.precision):
                found = encode(texts, batch_size=BATCH_SIZE, show_progress_bar=False, **settings)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise EvaluationFailed("ENCODING", f"encoding failed: {type(error).__name__}: {error}") from error
        return [vectors.float().cpu().numpy() for vectors in found]


class _GrowingRows:
    """A matrix that grows in place: all vectors are in memory once, never twice."""

    def __init__(self) -> None:
        self._flat = np.empty(0, dtype=np.float32)
        self._used = 0
        self._offsets = [0]
        self._dimensions = 1

    def add(self, rows: Float32) -> None:
        self._dimensions = rows.shape[1]
        needed = self._used + rows.size
        if needed > len(self._flat):
            self._flat.resize(max(needed, len(self._flat) * 5 // 4), refcheck=False)
        self._flat[self._used : needed] = rows.reshape(-1)
        self._used = needed
        self._offsets.append(needed // self._dimensions)

    def finished(self) -> TokenVectors:
        self._flat.resize(self._used, refcheck=False)
        matrix = self._flat.reshape(-1, self._dimensions)
        return TokenVectors(matrix, np.array(self._offsets, dtype=np.int64))


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


def _transformers(model: MultiVectorEncoder) -> Iterator[Transformer]:
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
