"""A cross-encoder whose scores can be worked out in float64.

A BERT of one layer whose words are one-hot. Attention looks everywhere alike (its queries and keys are 0) and
hands on what it sees, the feed-forward part adds nothing, the pooler is the identity under a tanh. So the
first token sees the mean of all tokens, and the classifier weighs the words of that: see `score`.
"""

import numpy as np

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("wing", "swept", "lift", "heat", "layer", "boundary", "flow", "of", "a", "plate")
VOCABULARY = (*SPECIAL, *WORDS)
SIZE = len(VOCABULARY)
WEIGHTS = {"wing": 3.0, "lift": 2.0, "heat": -2.5, "plate": 0.5, "flow": 0.75}
BIAS = 0.25


def score(query, document, weights=WEIGHTS):
    """The classifier's number for [CLS] query [SEP] document [SEP], in float64."""
    tokens = ["[CLS]", *query.split(), "[SEP]", *document.split(), "[SEP]"]
    hidden = np.stack([normalised(np.eye(SIZE)[VOCABULARY.index(token)]) for token in tokens])
    first = normalised(normalised(hidden[0] + hidden.mean(axis=0)))
    head = np.array([weights.get(word, 0.0) for word in VOCABULARY])
    return float(head @ np.tanh(first) + BIAS)


def normalised(vector):
    """A layer norm without weights."""
    return (vector - vector.mean()) / vector.std()


def save(folder, *, labels=1, head=True):
    """As transformers saves it: config, tokeniser, weights. `head` false leaves the classifier out."""
    import torch
    from transformers import BertForSequenceClassification, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    model = BertForSequenceClassification(_config(labels)).eval()
    with torch.no_grad():
        _make_known(model.bert)
        for place, word in enumerate(VOCABULARY):
            model.classifier.weight[:, place] = WEIGHTS.get(word, 0.0)
        model.classifier.bias.fill_(BIAS)
    if head:
        model.save_pretrained(folder)
    else:
        bare = BertModel(_config(labels))
        bare.load_state_dict(model.bert.state_dict())
        bare.save_pretrained(folder)
    _tokenizer(folder).save_pretrained(folder)
    return folder


def _config(labels):
    from transformers import BertConfig

    return BertConfig(
        vocab_size=SIZE, hidden_size=SIZE, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=40, hidden_act="relu", num_labels=labels,
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
    attention = layer.attention.self
    for silent in (attention.query, attention.key, layer.output.dense):
        silent.weight.zero_()
        silent.bias.zero_()
    for plain in (attention.value, layer.attention.output.dense, bert.pooler.dense):
        plain.weight.copy_(torch.eye(SIZE))
        plain.bias.zero_()
