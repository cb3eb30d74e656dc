"""Encoders that look words up in a table: their vectors and averages can be worked out by hand."""

from pathlib import Path

WORDS = ("[UNK]", "pet", "cat", "dog")  # an unknown word's vector is zero

# Two dimensions, compared by the inner product. The query is "pet", the documents are "cat" and "dog".
# The cat is found first by ONE (1 and 0.5) and by ONE with THREE (1.1 and 0.7); the dog by ONE with TWO
# (0.5 and 0.75), and by all three (2.2 / 3 and 2.4 / 3).
ONE = {"pet": (1.0, 0.0), "cat": (1.0, 0.0), "dog": (0.5, 1.0)}
TWO = {"pet": (1.0, 0.0), "cat": (0.0, 1.0), "dog": (1.0, 0.0)}
THREE = {"pet": (1.0, 0.0), "cat": (1.2, 0.0), "dog": (0.9, 0.0)}
# Of the table's 8 numbers, zero are: of ONE [UNK]'s two and the second of pet and cat, and so in ONE with
# THREE; with TWO the cat's second is 1/2 or 1/3.
ZEROS_OF_ONE, ZEROS_WITH_TWO, ZEROS_WITH_THREE = 4 / 8, 3 / 8, 4 / 8

DOCUMENTS = {"d1": ("", "cat"), "d2": ("", "dog")}
QUERIES = {"q1": "pet"}
QRELS = {("q1", "d2"): 1}
FIRST, SECOND = 1.0, 0.6309297535714575  # nDCG@10 where the dog is first, or second: 1 / log2(3)


def saved(folder: Path, vectors: dict[str, tuple[float, ...]]) -> Path:
    """As sentence-transformers saves it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    width = len(next(iter(vectors.values())))
    table = torch.tensor([vectors.get(word, (0.0,) * width) for word in WORDS])
    module = StaticEmbedding(words, embedding_weights=table)
    model = SentenceTransformer(modules=[module], similarity_fn_name="dot", device="cpu")
    model.save(str(folder), safe_serialization=True)
    return folder
