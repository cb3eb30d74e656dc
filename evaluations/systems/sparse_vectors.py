"""Texts to sparse vectors, a batch at a time. Importing this brings torch.

A batch's vectors are dense for a moment; no more than one batch ever is.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from evaluations.errors import EvaluationFailed
from evaluations.systems.encoder import Advance, autocast, longest_first, processor_facts

Side = Literal["query", "document"]

BATCH_SIZE = 32
LOGIT_BYTES = 1 << 29  # of a batch: a language model's head gives every token a number for every term
_FLOAT_BYTES = 4


class TermModel(Protocol):
    """A loaded model with a dimension for each term. `limit`: the longest text in tokens; None: no limit.

    `side_parameters`: those that a text of that side passes through; looking weights up in a table is none.
    """

    @property
    def parameters(self) -> int: ...

    @property
    def config(self) -> Mapping[str, object]:
        """Of the transformer inside."""

    @property
    def normalised(self) -> bool:
        """Whether vectors are compared by their angle."""

    def limit(self, side: Side) -> int | None: ...

    def terms(self) -> int:
        """What one token's logits count, about."""

    def side_parameters(self, side: Side) -> int: ...

    def encode(self, texts: list[str], side: Side) -> torch.Tensor:
        """Shape (texts, dimensions), the zeros stored."""


@dataclass(frozen=True)
class Block:
    """Some texts' vectors, shape (texts, dimensions). `places`: where these texts are among all."""

    places: NDArray[np.int64]
    vectors: "csr_array[Any]"


@dataclass(frozen=True)
class SparseTextEncoder:
    """A model with what it runs on."""

    model: TermModel
    device: str
    precision: str
    products: str

    def blocks(self, texts: Sequence[str], side: Side, advance: Advance) -> Iterator[Block]:
        """Every text once, the longest first. Raises EvaluationFailed `ENCODING`."""
        places = longest_first(texts)
        for batch in self._batches(list(places), side):
            vectors = self._vectors(batch, side)
            counts = [len(places[text]) for text in batch]
            repeated = vectors[np.repeat(np.arange(len(batch)), counts)] if max(counts) > 1 else vectors
            found = np.concatenate([np.asarray(places[text], dtype=np.int64) for text in batch])
            yield Block(found, repeated)
            advance(len(found))

    def matrix(self, texts: Sequence[str], side: Side, advance: Advance) -> "csr_array[Any]":
        """All vectors in the texts' order, shape (texts, dimensions)."""
        blocks = list(self.blocks(texts, side, advance))
        order = np.argsort(np.concatenate([block.places for block in blocks]))
        return csr_array(vstack([block.vectors for block in blocks], format="csr"))[order]

    def provenance(self) -> dict[str, str | int | None]:
        facts = processor_facts(self.device, self.precision, self.products)
        return {**facts, "batch_size": BATCH_SIZE, "max_length": self.model.limit("document")}

    def _batches(self, texts: list[str], side: Side) -> Iterator[list[str]]:
        """Fewer texts to a batch where they are long. A text has at most about as many tokens as bytes."""
        limit = self.model.limit(side) or math.inf
        start = 0
        while start < len(texts):
            tokens = max(1, min(limit, len(texts[start].encode()) + 2))
            size = int(LOGIT_BYTES // (_FLOAT_BYTES * self.model.terms() * tokens))
            size = min(max(size, 1), BATCH_SIZE)
            yield texts[start : start + size]
            start += size

    def _vectors(self, texts: list[str], side: Side) -> "csr_array[Any]":
        """A failure here is the machine's or the libraries', and ends the evaluation with its reason."""
        try:
            with torch.inference_mode(), autocast(self.device, self.precision):
                vectors = self.model.encode(texts, side)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise EvaluationFailed("ENCODING", f"encoding failed: {type(error).__name__}: {error}") from error
        vectors = vectors.float()
        return to_csr(_normalised(vectors) if self.model.normalised else vectors)


def saturated(logits: torch.Tensor, activation: str) -> torch.Tensor:
    """log(1 + relu(x)), or with `log1p_relu` log(1 + log(1 + relu(x))), in float32.

    Both grow with x: taken of the greatest logit they are the greatest of all, and cost less.
    """
    weights = logits.float().relu().log1p()
    return weights.log1p() if activation == "log1p_relu" else weights


def to_csr(vectors: torch.Tensor) -> "csr_array[Any]":
    """The rows (texts, dimensions) without their zeros, terms ascending."""
    texts, dimensions = vectors.shape
    rows, terms = vectors.nonzero(as_tuple=True)
    weights = vectors[rows, terms].cpu().numpy()
    offsets = np.zeros(texts + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows.cpu().numpy(), minlength=texts), out=offsets[1:])
    stored: Any = (weights, terms.cpu().numpy().astype(np.int32), offsets)
    return csr_array(stored, shape=(texts, dimensions))


def _normalised(vectors: torch.Tensor) -> torch.Tensor:
    """To length 1; a zero vector stays."""
    norms = vectors.norm(dim=1, keepdim=True)
    return vectors / torch.where(norms > 0, norms, 1)
