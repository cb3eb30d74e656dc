"""What sparse encoders share: a model with a dimension for each term, the activation, the way to csr.

A batch's vectors are dense for a moment; no more than one batch ever is. Importing this brings torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.encoding.batches import TextModel
from evaluations.search.found import SparseQuery
from evaluations.systems.abilities import Side


class TermModel(TextModel["csr_array[Any]"], Protocol):
    """A loaded model with a dimension for each term. `limit`: the longest text in tokens; None: no limit.

    `side_parameters`: names and sizes of those that a text of that side passes through; looking weights up in
    a table is none. `words`: which terms each text has (texts, V), by the model's own tokeniser and without
    its special tokens; None where dimensions are no terms.
    """

    @property
    def parameters(self) -> int: ...

    @property
    def config(self) -> Mapping[str, object]:
        """Of the transformer inside."""

    def limit(self, side: Side) -> int | None: ...

    def side_parameters(self, side: Side) -> list[tuple[str, int]]: ...

    def words(self, texts: Sequence[str], side: Side) -> "csr_array[Any] | None": ...

    def query_table(self) -> "QueryTable | None":
        """Where a query is nothing but its tokens' weights: those, for one query at a time."""


@dataclass(frozen=True)
class QueryTable:
    """Queries of an inference-free encoder without tensors: what a server of it would do.

    `tokeniser` is the fast one of the `tokenizers` library, `limit` cuts its ids.
    """

    tokeniser: Any
    weights: NDArray[np.float32]
    prompt: str
    limit: int | None

    def tokenise(self, text: str) -> list[int]:
        ids: list[int] = self.tokeniser.encode(self.prompt + text, add_special_tokens=False).ids
        return ids[: self.limit]

    def look_up(self, tokens: Sequence[int]) -> SparseQuery:
        """Distinct terms of non-zero weight, ascending."""
        terms = np.unique(np.array(tokens, dtype=np.int32))
        weights = self.weights[terms]
        return SparseQuery(terms[weights != 0], weights[weights != 0])


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


def words_of(texts: Sequence[Iterable[int]], special: Iterable[int], dimensions: int) -> "csr_array[Any]":
    """Ones at the terms of each text's tokens, (texts, dimensions), special tokens left out."""
    left_out = set(special)
    rows = [sorted({term for term in text if term < dimensions} - left_out) for text in texts]
    offsets = np.cumsum([0, *map(len, rows)])
    terms = np.array([term for row in rows for term in row], dtype=np.int32)
    stored: Any = (np.ones(len(terms), dtype=np.float32), terms, offsets)
    return csr_array(stored, shape=(len(rows), dimensions))


def of_length_one(vectors: torch.Tensor) -> torch.Tensor:
    """A zero vector stays."""
    norms = vectors.norm(dim=1, keepdim=True)
    return vectors / torch.where(norms > 0, norms, 1)
