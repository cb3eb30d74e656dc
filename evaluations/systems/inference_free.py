"""Inference-free encoders as first published: `idf.json` beside a masked language model, no modules.json.

A query is the weights of its tokens in `idf.json`, documents go through the model. The dimensions of
special tokens are zero on both sides. Source: Geng et al. 2024. Importing this brings torch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from sentence_transformers.base.modules import Router
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
from torch import nn

from evaluations.errors import EvaluationError
from evaluations.systems.safety import read_json
from evaluations.systems.sparse_folder import IDF

LARGEST_WEIGHT = 10**9  # an IDF is below 100; products of larger ones would leave float32


class Without(nn.Module):
    """Sets some dimensions to zero, as if their terms did not exist."""

    def __init__(self, terms: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("terms", torch.tensor(sorted(terms), dtype=torch.long), persistent=False)

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        features["sentence_embedding"][:, cast("torch.Tensor", self.terms)] = 0
        return features


def idf_router(folder: Path, documents: Sequence[Any]) -> Router:
    """A router with the weights of `idf.json` for queries and these modules for documents.

    Raises EvaluationError `IDF-WEIGHTS`.
    """
    tokenizer = documents[0].tokenizer
    special = set(tokenizer.all_special_ids)
    weights = torch.zeros(int(documents[0].config.vocab_size))
    for token, weight in _weights(folder, tokenizer.get_vocab()).items():
        if token not in special and token < len(weights):
            weights[token] = weight
    queries = SparseStaticEmbedding(tokenizer, weight=weights, frozen=True)
    document_modules: list[Any] = [*documents, Without(sorted(special))]
    return Router.for_query_document([queries], document_modules)


def _weights(folder: Path, vocabulary: dict[str, int]) -> dict[int, float]:
    """By token id. What is no token of the vocabulary occurs in no query."""
    found = read_json(folder / IDF, IDF)
    if not isinstance(found, dict) or not found:
        raise EvaluationError("IDF-WEIGHTS", f"{IDF} must be an object of tokens and their weights")
    for token, weight in found.items():
        if type(weight) not in (int, float) or not abs(weight) <= LARGEST_WEIGHT:
            problem = f"{IDF}: the weight of {token[:40]!r} is no finite number"
            raise EvaluationError("IDF-WEIGHTS", f"{problem} from -{LARGEST_WEIGHT:,} to {LARGEST_WEIGHT:,}")
    known = {vocabulary[token]: float(weight) for token, weight in found.items() if token in vocabulary}
    if not known:
        raise EvaluationError("IDF-WEIGHTS", f"{IDF}: no token is in the tokeniser's vocabulary")
    return known
