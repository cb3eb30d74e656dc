"""A masked language model whose vectors can be worked out by hand, and the sparse encoders made of it.

It has 17 words and 17 hidden dimensions: each word's embedding is one-hot, the transformer's layer adds
nothing, and a layer norm of a one-hot vector of length 17 is 4 at its place and -1/4 elsewhere (mean 1/17,
variance 16/17^2). The head's transformation repeats that. So a word's logits are head() @ that vector + BIAS.
"""

import numpy as np
from scipy.sparse import csr_array

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (
    "wing", "swept", "lift", "heat", "layer", "boundary", "flow", "query", "of", "a", "plate", "##s",
)  # fmt: skip
VOCABULARY = (*SPECIAL, *WORDS)
SIZE = len(VOCABULARY)
BIAS = -1.0


def term(word):
    return VOCABULARY.index(word)


def head():
    """Each word names itself; some name another too, as a trained SPLADE would; so does one special token."""
    weights = np.zeros((SIZE, SIZE))
    for word in WORDS:
        weights[term(word), term(word)] = 0.5
    weights[term("flow"), term("wing")] = 0.75
    weights[term("lift"), term("wing")] = 0.3
    weights[term("heat"), term("boundary")] = 0.4
    weights[term("[SEP]"), term("plate")] = 0.6
    return weights


def logits(word):
    hidden = np.full(SIZE, -0.25)
    hidden[term(word)] = 4.0
    return head() @ hidden + BIAS


def splade(words, *, logarithms=1):
    """log(1 + max(0, x)) of each term's greatest logit x over [CLS], the words and [SEP]; shape (17,)."""
    greatest = np.max([logits(word) for word in ("[CLS]", *words.split(), "[SEP]")], axis=0)
    weights = np.maximum(greatest, 0)
    for _ in range(logarithms):
        weights = np.log1p(weights)
    return weights


def rows(matrix: csr_array):
    return np.asarray(matrix.todense(), dtype=np.float64)


def masked_lm(folder):
    """A plain folder: config, tokeniser, weights."""
    import torch
    from transformers import BertForMaskedLM

    folder.mkdir(parents=True, exist_ok=True)
    model = BertForMaskedLM(_config())
    with torch.no_grad():
        _make_known(model.bert)
        transform = model.cls.predictions.transform
        transform.dense.weight.copy_(torch.eye(SIZE))
        transform.dense.bias.zero_()
        model.cls.predictions.decoder.weight.copy_(torch.tensor(head(), dtype=torch.float32))
        model.cls.predictions.decoder.bias.fill_(BIAS)
        model.cls.predictions.bias.fill_(BIAS)
    model.save_pretrained(folder)
    _tokenizer(folder).save_pretrained(folder)
    return folder


def backbone(folder):
    """The same without a head: `last_hidden_state` is 4 at the word's place and -1/4 elsewhere."""
    import torch
    from transformers import BertModel

    folder.mkdir(parents=True, exist_ok=True)
    model = BertModel(_config(), add_pooling_layer=False)
    with torch.no_grad():
        _make_known(model)
    model.save_pretrained(folder)
    _tokenizer(folder).save_pretrained(folder)
    return folder


def _config():
    from transformers import BertConfig

    return BertConfig(
        vocab_size=SIZE, hidden_size=SIZE, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=32, hidden_act="relu", tie_word_embeddings=False,
    )  # fmt: skip


def _tokenizer(folder):
    from transformers import BertTokenizer

    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    return BertTokenizer(str(folder / "vocab.txt"))


def _make_known(bert):
    import torch

    bert.embeddings.word_embeddings.weight.copy_(torch.eye(SIZE))
    for silent in (bert.embeddings.position_embeddings, bert.embeddings.token_type_embeddings):
        silent.weight.zero_()
    layer = bert.encoder.layer[0]
    for silent in (layer.attention.output.dense, layer.output.dense):
        silent.weight.zero_()
        silent.bias.zero_()
