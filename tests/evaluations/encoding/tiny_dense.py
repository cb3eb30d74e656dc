"""Dense encoders in each shape that a submitter may send, of a few thousand random parameters."""

from types import SimpleNamespace

WORDS = ["wing", "swept", "lift", "heat", "layer", "boundary", "flow", "query", ":", "of", "a"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WIDTH = 16


def one_of_each(root):
    """Folders as sentence-transformers saves them."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding

    torch.manual_seed(0)
    prompts = {"query": "query: ", "document": ""}

    def saved(name, modules, similarity="dot", prompts=prompts):
        model = SentenceTransformer(
            modules=modules, prompts=prompts, similarity_fn_name=similarity, device="cpu"
        )
        model.save(str(root / name), safe_serialization=True)
        return root / name

    def pooled(folder, mode="mean"):
        transformer = Transformer(str(folder))
        return [transformer, Pooling(transformer.get_embedding_dimension(), mode)]

    bert = _bert(root / "plain-bert")
    return SimpleNamespace(
        bert=saved("bert", pooled(bert)),
        cosine=saved("cosine", pooled(bert), "cosine"),
        static=saved("static", [StaticEmbedding(_words(), embedding_dim=WIDTH)], prompts={}),
        towers=saved(
            "towers",
            [Router.for_query_document(pooled(bert), pooled(_bert(root / "another-bert")))],
        ),
        looked_up=saved(
            "looked-up",
            [Router.for_query_document([StaticEmbedding(_words(), embedding_dim=WIDTH)], pooled(bert))],
        ),
        experts=saved("experts", pooled(_mixtral(root / "plain-mixtral")), prompts={}),
        decoder=saved("decoder", pooled(_mistral(root / "plain-mistral"), "lasttoken"), prompts={}),
    )


def _bert(folder):
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]))
    config = BertConfig(
        vocab_size=len(WORDS) + len(SPECIAL), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def _mistral(folder):
    from transformers import MistralConfig, MistralModel

    return _causal(folder, MistralModel(MistralConfig(**_SMALL, sliding_window=None)))


def _mixtral(folder):
    from transformers import MixtralConfig, MixtralModel

    config = MixtralConfig(**_SMALL, num_local_experts=4, num_experts_per_tok=2)
    return _causal(folder, MixtralModel(config))


_SMALL = {
    "vocab_size": len(WORDS) + len(SPECIAL), "hidden_size": WIDTH, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 32, "head_dim": 8,
    "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip


def _causal(folder, model):
    """Padded on the left, as decoders are."""
    from transformers import PreTrainedTokenizerFast

    folder.mkdir()
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=_words(), pad_token="[PAD]", unk_token="[UNK]", padding_side="left",
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _words():
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate([*SPECIAL, *WORDS])}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return words
