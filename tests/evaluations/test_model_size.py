"""Settings against what files hold: published models pass, and the same with one size blown up do not."""

import pytest

from evaluations.errors import EvaluationError
from evaluations.systems.model_size import check_model_size, check_module_size

MILLION = 10**6
# Sizes as in their config.json, and the parameters that their model cards state.
PUBLISHED = {
    "all-MiniLM-L6-v2": (23, {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536,
                              "vocab_size": 30522, "max_position_embeddings": 512}),
    "albert-xxlarge-v2": (223, {"hidden_size": 4096, "num_hidden_layers": 12, "num_hidden_groups": 1,
                                "intermediate_size": 16384, "vocab_size": 30000, "embedding_size": 128}),
    "bge-m3": (568, {"hidden_size": 1024, "num_hidden_layers": 24, "intermediate_size": 4096,
                     "vocab_size": 250002, "max_position_embeddings": 8194}),
    "ModernBERT-base": (149, {"hidden_size": 768, "num_hidden_layers": 22, "intermediate_size": 1152,
                              "vocab_size": 50368, "max_position_embeddings": 8192}),
    "Qwen3-Embedding-0.6B": (596, {"hidden_size": 1024, "num_hidden_layers": 28, "intermediate_size": 3072,
                                   "vocab_size": 151669, "max_position_embeddings": 32768, "head_dim": 128}),
    "embeddinggemma-300m": (308, {"hidden_size": 768, "num_hidden_layers": 24, "intermediate_size": 1152,
                                  "vocab_size": 262144, "max_position_embeddings": 2048}),
    "Mistral-7B": (7242, {"hidden_size": 4096, "num_hidden_layers": 32, "intermediate_size": 14336,
                          "vocab_size": 32000, "max_position_embeddings": 32768}),
    "Mixtral-8x7B": (46703, {"hidden_size": 4096, "num_hidden_layers": 32, "intermediate_size": 14336,
                             "vocab_size": 32000, "num_local_experts": 8}),
    "nomic-embed-text-v2-moe": (475, {"n_embd": 768, "n_layer": 12, "n_inner": 3072, "num_experts": 8,
                                      "vocab_size": 250048, "n_positions": 2048}),
    "t5-base": (223, {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_decoder_layers": 12,
                      "vocab_size": 32128, "d_kv": 64}),
}  # fmt: skip
SIZES = ("hidden_size", "n_embd", "d_model", "vocab_size", "num_hidden_layers", "n_layer", "num_layers")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_passes(name):
    millions, settings = PUBLISHED[name]
    check_model_size("config.json", settings, millions * MILLION)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_same_with_one_size_blown_up_is_refused_by_its_name(name):
    millions, settings = PUBLISHED[name]
    for key in (key for key in settings if key in SIZES):
        with pytest.raises(EvaluationError, match=f"MODEL-SIZE.*config.json: .*{key}"):
            check_model_size("config.json", {**settings, key: settings[key] * 10_000}, millions * MILLION)


def test_a_tiny_model_may_have_a_long_context_and_a_usual_vocabulary():
    tiny = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 32000, "max_position_embeddings": 131072}
    check_model_size("config.json", tiny, 600_000)


def test_a_projection_may_be_as_large_as_its_file():
    check_module_size("2_Dense/config.json", {"in_features": 1024, "out_features": 128}, 131_072)
    with pytest.raises(EvaluationError, match="MODEL-SIZE"):
        check_module_size("2_Dense/config.json", {"in_features": 1024, "out_features": 10**6}, 131_072)


@pytest.mark.parametrize("value", [None, "huge", [10**12], True, -(10**12)])
def test_what_is_no_size_is_the_librarys_to_refuse(value):
    settings = {"hidden_size": 4, "num_hidden_layers": 1, "vocab_size": 5}
    for key in settings:
        check_model_size("config.json", {**settings, key: value}, 100)
