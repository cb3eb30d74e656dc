"""A sentence-transformers model as a function from texts to float32 vectors. Importing this brings torch.

Texts go in sorted by length, longest first, so that batches pad little and a text too long for the memory
fails at once. Equal texts are encoded once: their vectors, and so their scores, are equal.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.model import BaseModel
from transformers.utils import logging as transformers_logging

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.systems.base import Runtime, Value
from evaluations.systems.devices import resolve_device
from evaluations.systems.loading import loading_from, require_all_stored

Float32 = NDArray[np.float32]
Advance = Callable[[int], None]

BATCH_SIZE = 32
MOST_BATCHES = 16  # in one call of the library
PROGRESS_STEPS = 20  # as many as a person needs to see that it moves
PROBE_TOLERANCE = 1e-5
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
SIMILARITIES = ("cosine", "dot")
# fp32 whatever the file holds: precision is an option of the system, never the checkpoint's choice.
MODEL_KWARGS: Mapping[str, Any] = {"use_safetensors": True, "dtype": torch.float32}


@dataclass(frozen=True)
class Encoder:
    """A loaded model with the settings of its spec."""

    model: SentenceTransformer
    device: str
    precision: str
    products: str
    normalised: bool
    query_prompt: str | None
    document_prompt: str | None

    @classmethod
    def load(cls, folder: Path, options: Mapping[str, Value], runtime: Runtime) -> "Encoder":
        """Raises EvaluationError `HEAD-MISSING`, `MODEL-LOAD`, `MODEL-SIMILARITY`, `OPTION-RANGE`."""
        device = prepare(runtime)
        model = _model(folder, device)
        _set_max_length(model, options["max_length"])
        similarity = model.similarity_fn_name or "cosine"
        if similarity not in SIMILARITIES:
            problem = f"{folder.name} compares vectors by {similarity}; only cosine and dot are searched"
            raise EvaluationError("MODEL-SIMILARITY", problem)
        return cls(
            model=model.eval(),
            device=device,
            precision=str(options["precision"]),
            products=fp32_products(device),
            normalised=similarity == "cosine",
            query_prompt=cast("str | None", options["query_prompt"]),
            document_prompt=cast("str | None", options["document_prompt"]),
        )

    def queries(self, texts: Sequence[str], advance: Advance) -> Float32:
        """Vectors of queries, shape (texts, dimensions). Raises EvaluationFailed `ENCODING`."""
        return self._encoded(self.model.encode_query, texts, self.query_prompt, advance)

    def documents(self, texts: Sequence[str], advance: Advance) -> Float32:
        """Vectors of documents, shape (texts, dimensions). Raises EvaluationFailed `ENCODING`."""
        return self._encoded(self.model.encode_document, texts, self.document_prompt, advance)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def config(self) -> Mapping[str, object]:
        """The configuration of the transformer inside; empty where there is none."""
        inner = getattr(self.model[0], "auto_model", None)
        return cast("Mapping[str, object]", inner.config.to_dict()) if inner is not None else {}

    def provenance(self) -> dict[str, str | int | None]:
        facts = processor_facts(self.device, self.precision, self.products)
        return {**facts, "batch_size": BATCH_SIZE, "max_length": self.model.max_seq_length}

    def _encoded(
        self, encode: Callable[..., Any], texts: Sequence[str], prompt: str | None, advance: Advance
    ) -> Float32:
        places = longest_first(texts)
        distinct = list(places)
        vectors = np.empty((0, 0), dtype=np.float32)
        size = _chunk_size(len(distinct))
        for start in range(0, len(distinct), size):
            chunk = distinct[start : start + size]
            found = self._vectors(encode, chunk, prompt)
            if not start:
                vectors = np.empty((len(texts), found.shape[1]), dtype=np.float32)
            for text, vector in zip(chunk, found, strict=True):
                vectors[places[text]] = vector
            advance(sum(len(places[text]) for text in chunk))
        return vectors

    def _vectors(self, encode: Callable[..., Any], texts: list[str], prompt: str | None) -> Float32:
        """A failure here is the machine's or the libraries', and ends the evaluation with its reason."""
        settings: dict[str, Any] = {} if prompt is None else {"prompt": prompt}
        try:
            with torch.inference_mode(), autocast(self.device, self.precision):
                tensors = encode(
                    texts, batch_size=BATCH_SIZE, show_progress_bar=False, convert_to_tensor=True, **settings
                )
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise EvaluationFailed("ENCODING", f"encoding failed: {type(error).__name__}: {error}") from error
        vectors = tensors.float().cpu().numpy()
        return _normalised(vectors) if self.normalised else vectors


def prepare(runtime: Runtime) -> str:
    """Before a model is loaded: quiet libraries, the threads asked for. The device, `cpu` or `cuda`."""
    _quieten()
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    return resolve_device(runtime.device)


def autocast(device: str, precision: str) -> AbstractContextManager[Any]:
    """Weights stay fp32, products run in the precision: nearer to fp32 than a converted model."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device, dtype=_DTYPES[precision])


def processor_facts(device: str, precision: str, products: str) -> dict[str, str | int | None]:
    """For a report's provenance: what the model ran on."""
    return {
        "device": device,
        "device_name": torch.cuda.get_device_name() if device == "cuda" else None,
        "precision": precision,
        "fp32_products": products,
        "threads": torch.get_num_threads(),
    }


def longest_first(texts: Sequence[str]) -> dict[str, list[int]]:
    """The places of each distinct text, the longest text first."""
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, []).append(place)
    return {text: places[text] for text in sorted(places, key=lambda text: (-len(text), text))}


def fp32_products(device: str) -> str:
    """Chooses the fastest fp32 matrix product that is still fp32, and names it.

    On a CPU "medium" sends products to oneDNN, which keeps fp32 on some processors and uses bf16 on others:
    a probe decides. On CUDA fp32 stays without TF32.
    """
    torch.set_float32_matmul_precision("highest")
    if device != "cpu":
        return "highest"
    torch.set_float32_matmul_precision("medium")
    if probe_error() < PROBE_TOLERANCE:
        return "medium (oneDNN, probed)"
    torch.set_float32_matmul_precision("highest")
    return "highest"


def probe_error() -> float:
    """Largest error of a float32 product relative to its largest element, against float64."""
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(256, 1536, generator=generator)
    right = torch.randn(1536, 384, generator=generator)
    exact = left.double() @ right.double()
    return float(((left @ right).double() - exact).abs().max() / exact.abs().max())


def _model(folder: Path, device: str) -> SentenceTransformer:
    with loading_from(folder) as missing:
        model = SentenceTransformer(
            str(folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs=dict(MODEL_KWARGS),
        )
    require_all_stored(missing, unused_prefixes=() if reads_pooler(model) else ("pooler.",))
    return model


def reads_pooler(model: BaseModel) -> bool:
    """BERT's pooler is in few files, and in no computation where modules take the last hidden state."""
    outputs = getattr(model[0], "modality_config", {}).values()
    return any(output.get("method_output_name") != "last_hidden_state" for output in outputs)


def _set_max_length(model: SentenceTransformer, max_length: Value) -> None:
    if not isinstance(max_length, int):
        return
    inner = getattr(model[0], "auto_model", None)
    positions = getattr(getattr(inner, "config", None), "max_position_embeddings", None)
    if positions is not None and max_length > positions:
        problem = f"option max_length: {max_length} is more than the model's {positions} positions"
        raise EvaluationError("OPTION-RANGE", problem)
    model.max_seq_length = max_length


def _chunk_size(texts: int) -> int:
    """Whole batches, so that the chunks do not change which texts share one."""
    batches = texts // (PROGRESS_STEPS * BATCH_SIZE)
    return BATCH_SIZE * min(max(batches, 1), MOST_BATCHES)


def _normalised(vectors: Float32) -> Float32:
    """To length 1 in float32; a zero vector stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast("Float32", vectors / np.where(norms > 0, norms, 1))


def _quieten() -> None:
    """Libraries write their own bars and warnings; standard error belongs to the one line of an error."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
