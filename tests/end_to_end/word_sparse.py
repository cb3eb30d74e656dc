"""A sparse system over a real vocabulary whose vectors are known without running it.

Every term has a random vector of +1 and -1 in equal number, which the layer norm leaves as it is, and the
transformer adds nothing. The head gives a term `STRENGTH` times the product of its vector with a token's:
`STRENGTH * HIDDEN = 2` for the token itself, and for others less than the bias takes away. So a document's
vector is log(2) at each of its tokens, and a query's is idf(token), by `idf.json`, at each of its own.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

HIDDEN = 256
STRENGTH = 2 / HIDDEN
BIAS = -1.0
LENGTH = 256


def write(folder: Path, tokenizer_of: Path, texts: Sequence[str]) -> Path:
    """The model's folder, with the tokeniser of another model; idf is over the texts."""
    tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_of), model_max_length=LENGTH)
    model = BertForMaskedLM(_config(len(tokenizer)))
    with torch.no_grad():
        _make_known(model, len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "idf.json").write_text(json.dumps(_idf(tokenizer, texts)))
    return folder


def weights(folder: Path, tokenizer: Any) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """What `idf.json` gives each term of the vocabulary, shape (terms,)."""
    found, numbers = np.zeros(len(tokenizer), dtype=np.float32), tokenizer.get_vocab()
    for token, weight in json.loads((folder / "idf.json").read_text()).items():
        found[numbers[token]] = weight
    return found


def _config(terms: int) -> BertConfig:
    return BertConfig(
        vocab_size=terms, hidden_size=HIDDEN, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=8, max_position_embeddings=LENGTH, hidden_act="relu", tie_word_embeddings=False,
    )  # fmt: skip


def _make_known(model: BertForMaskedLM, terms: int) -> None:
    signs = torch.from_numpy(_signs(terms))
    for parameter in model.bert.parameters():
        if parameter.dim() == 2:
            parameter.zero_()
    model.bert.embeddings.word_embeddings.weight.copy_(signs)
    head = model.cls.predictions
    head.transform.dense.weight.copy_(torch.eye(HIDDEN))
    head.transform.dense.bias.zero_()
    head.decoder.weight.copy_(STRENGTH * signs)
    head.decoder.bias.fill_(BIAS)
    head.bias.fill_(BIAS)


def _signs(terms: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Rows of as many +1 as -1, in random order. A ReLU and a layer norm give each back."""
    half = np.repeat(np.array([1, -1], dtype=np.float32), HIDDEN // 2)
    return np.random.default_rng(0).permuted(np.tile(half, (terms, 1)), axis=1)


def _idf(tokenizer: Any, texts: Sequence[str]) -> dict[str, float]:
    """ln(documents / documents with the token), to a 64th, which float32 holds exactly."""
    counts = Counter(token for text in texts for token in set(tokenizer.tokenize(text)))
    return {token: round(64 * math.log(len(texts) / count)) / 64 for token, count in counts.items()}
