"""Parameters of tiny models, against arithmetic."""

import pytest

from evaluations.sparsity.parameters import Routing, active_parameters, parameter_findings, routing_of

HIDDEN, INNER, WORDS, EXPERTS, ROUTED, LAYERS = 16, 24, 20, 4, 2, 2
ATTENTION = 2 * HIDDEN * HIDDEN + 2 * HIDDEN * 8  # q, o; k, v of two of four heads of four
EXPERT = 3 * HIDDEN * INNER
ROUTER = EXPERTS * HIDDEN
NORMS = 2 * HIDDEN


def named(model):
    return [(name, parameter.numel()) for name, parameter in model.named_parameters()]


def mixtral():
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(
        MixtralConfig(
            vocab_size=WORDS, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS,
            num_attention_heads=4, num_key_value_heads=2, num_local_experts=EXPERTS,
            num_experts_per_tok=ROUTED, tie_word_embeddings=False,
        )
    )  # fmt: skip


def test_active_parameters_of_a_tiny_mixtral_are_those_of_the_routed_experts():
    model = mixtral()
    found = parameter_findings(named(model), model.config.to_dict()).metrics
    always = 2 * WORDS * HIDDEN + HIDDEN + LAYERS * (ATTENTION + ROUTER + NORMS)
    assert found["parameters"] == always + LAYERS * EXPERTS * EXPERT
    assert found["active_parameters"] == always + LAYERS * ROUTED * EXPERT
    assert found["non_embedding_parameters"] == found["parameters"] - WORDS * HIDDEN


def test_a_shared_expert_counts_whole():
    from transformers import Qwen2MoeConfig, Qwen2MoeModel

    config = Qwen2MoeConfig(
        vocab_size=WORDS, hidden_size=HIDDEN, intermediate_size=INNER, moe_intermediate_size=8,
        shared_expert_intermediate_size=INNER, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, num_experts=EXPERTS, num_experts_per_tok=1, mlp_only_layers=[],
    )  # fmt: skip
    model = Qwen2MoeModel(config)
    found = parameter_findings(named(model), config.to_dict()).metrics
    assert found["parameters"] - found["active_parameters"] == (EXPERTS - 1) * 3 * HIDDEN * 8


def test_experts_in_one_tensor_and_in_many_count_alike():
    """As nomic's encoders store them, eight experts side by side, and as Mixtral's files do."""
    fused = [
        ("encoder.layers.1.mlp.experts.mlp.w1", 8 * 100),
        ("encoder.layers.1.mlp.router.layer.weight", 7),
    ]
    apart = [(f"layers.1.block_sparse_moe.experts.{expert}.w1.weight", 100) for expert in range(8)]
    assert active_parameters(fused, Routing(8, 2)) == 200 + 7
    assert active_parameters(apart, Routing(8, 2)) == 200


@pytest.mark.parametrize(
    ("config", "routing"),
    [
        ({}, None),
        ({"num_experts": 0, "num_experts_per_tok": 2}, None),
        ({"num_local_experts": 8, "num_experts_per_tok": 2}, Routing(8, 2)),
        ({"num_experts": 8, "moe_top_k": 2}, Routing(8, 2)),
        ({"n_routed_experts": 64, "num_experts_per_tok": 6}, Routing(64, 6)),
        ({"text_config": {"num_experts": 16, "num_experts_per_tok": 1}}, Routing(16, 1)),
        ({"num_experts": 8}, Routing(8, None)),
    ],
)
def test_routing_is_read_as_configurations_name_it(config, routing):
    assert routing_of(config) == routing


def test_without_experts_every_parameter_is_active():
    found = parameter_findings([("embeddings.word_embeddings.weight", 30), ("pooler.dense.weight", 4)], {})
    assert found.metrics == {"parameters": 34, "non_embedding_parameters": 4, "active_parameters": 34}


def test_a_mixture_that_does_not_say_its_routing_does_not_pass_its_total_off_as_active():
    found = parameter_findings([("layers.0.mlp.experts.w1", 80)], {"num_experts": 8})
    assert found.metrics["active_parameters"] is None
    assert "how many experts" in found.reasons["active_parameters"]
