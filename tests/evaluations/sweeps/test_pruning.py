"""Pruning of a model's weights: what is prunable, what goes, and that all of it comes back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2Model, MixtralConfig, MixtralForCausalLM

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.matrices import Matrix, down_projections, fused_experts, prunable, zeros
from evaluations.sparsity.sweeps.pruning import (
    kept,
    magnitudes,
    prune_apart,
    prune_pattern,
    prune_together,
    random_keys,
)


def matrix(rows, inputs=1, name="m"):
    return Matrix(name, nn.Parameter(torch.tensor(rows, dtype=torch.float32)), inputs)


def values(found):
    return found.weight.detach().tolist()


def bert(**more):
    return BertForMaskedLM(
        BertConfig(
            vocab_size=50, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=16, **more,
        )
    )  # fmt: skip


def mixtral():
    return MixtralForCausalLM(
        MixtralConfig(
            vocab_size=50, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            intermediate_size=12, num_local_experts=4, num_experts_per_tok=2, max_position_embeddings=32,
        )
    )  # fmt: skip


def test_the_matrices_of_attention_and_mlps_are_prunable_and_nothing_else():
    found = prunable(bert())
    # A layer: query, key, value and output of 8 x 8, two MLP matrices of 8 x 24. Embeddings, the head's own
    # matrix, norms and biases are none.
    assert sum(each.weight.numel() for each in found) == 2 * (4 * 64 + 2 * 192)
    assert len(found) == 2 * 6


def test_of_all_minilm_l6_v2_46_7_percent_is_prunable(minilm):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(minilm), device="cpu", local_files_only=True)
    count = sum(each.weight.numel() for each in prunable(model))
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert count == 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert round(count / everything, 3) == 0.467


def test_of_a_mixture_the_experts_are_prunable_and_their_router_is_not():
    found = prunable(mixtral())
    attention = 8 * 8 + 2 * (8 * 4) + 8 * 8
    experts = 4 * 3 * 8 * 12
    assert sum(each.weight.numel() for each in found) == 2 * (attention + experts)
    assert not any("gate.weight" in each.name for each in found)


def test_inputs_lie_on_the_first_axis_of_a_transposed_layer():
    found = prunable(GPT2Model(GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2, n_positions=8)))
    shapes = {each.name.rpartition(".")[2]: (tuple(each.weight.shape), each.inputs) for each in found}
    assert shapes["c_fc"] == ((8, 32), 0)


def test_a_model_without_layers_has_nothing_to_be_pruned():
    with pytest.raises(EvaluationError, match="no matrices of attention or MLPs"):
        prunable(nn.Sequential(nn.Linear(3, 3)))


def test_the_maps_that_read_inner_activations_are_found():
    assert [down.name.rpartition("layer.")[2] for down in down_projections(bert())] == [
        "0.output.dense",
        "1.output.dense",
    ]
    assert down_projections(mixtral()) == []
    assert len(fused_experts(mixtral())) == 2


def test_an_mlp_as_wide_as_its_model_is_found_by_its_name():
    narrow = BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    assert [down.name for down in down_projections(BertForMaskedLM(narrow))] == [
        "bert.encoder.layer.0.output.dense"
    ]


def test_the_smallest_magnitudes_over_all_matrices_go():
    first, second = matrix([[0.1, -0.2], [3.0, 4.0]]), matrix([[-0.3, 5.0], [6.0, 0.05]])
    prune_together([first, second], 0.5, magnitudes)
    np.testing.assert_allclose(values(first), [[0, 0], [3, 4]])
    np.testing.assert_allclose(values(second), [[0, 5], [6, 0]])


def test_of_equal_magnitudes_those_of_earlier_places_go_first():
    first, second = matrix([[1.0, -1.0]]), matrix([[1.0, 1.0]])
    prune_together([first, second], 0.75, magnitudes)
    assert values(first) == [[0, 0]]
    assert values(second) == [[0, 1]]


def test_zeros_that_are_there_count_towards_the_share():
    found = matrix([[0.0, 0.0, 1.0, 2.0]])
    prune_together([found], 0.5, magnitudes)
    assert values(found) == [[0, 0, 1, 2]]
    prune_together([found], 0.5, random_keys)
    assert values(found) == [[0, 0, 1, 2]]


def test_a_share_of_each_matrix_leaves_the_smaller_ones_some_weights():
    small, large = matrix([[0.1, 0.2]]), matrix([[10.0, 20.0]])
    prune_apart([small, large], 0.5, magnitudes)
    np.testing.assert_allclose(values(small), [[0, 0.2]])
    np.testing.assert_allclose(values(large), [[0, 20]])


def test_random_pruning_takes_as_many_draws_the_same_again_and_does_not_look_at_magnitudes():
    def pruned():
        found = matrix(np.linspace(0.001, 1, 10_000).reshape(100, 100).tolist())
        prune_together([found], 0.3, random_keys)
        return found.weight.detach() == 0

    first, again = pruned(), pruned()
    assert int(first.sum()) == 3000
    assert torch.equal(first, again)
    # Of the smaller half, 1,500 +- 23 (a standard deviation of the hypergeometric law) go by chance.
    assert 1400 < int(first.flatten()[:5000].sum()) < 1600


def test_random_pruning_draws_each_matrix_anew():
    ones = [matrix(np.ones((50, 50)).tolist()) for _ in range(2)]
    prune_together(ones, 0.5, random_keys)
    assert not torch.equal(ones[0].weight == 0, ones[1].weight == 0)


def test_a_pattern_keeps_the_greatest_of_each_group_of_inputs():
    found = matrix([[1.0, -4.0, 3.0, 2.0, 5.0, 5.0, 5.0, 0.0]])
    prune_pattern([found], 2, 4)
    assert values(found) == [[0, -4, 3, 0, 5, 5, 0, 0]]


def test_a_pattern_runs_along_the_inputs_of_a_transposed_layer():
    found = matrix([[1.0, 9.0], [2.0, 8.0], [3.0, 7.0], [4.0, 6.0]], inputs=0)
    prune_pattern([found], 1, 2)
    assert values(found) == [[0, 9], [2, 0], [0, 7], [4, 0]]


def test_inputs_that_are_no_whole_groups_are_a_gap_and_nothing_is_changed():
    whole, broken = matrix([[1.0, 2.0, 3.0, 4.0]]), matrix([[1.0, 2.0, 3.0]], name="layer.0.query")
    with pytest.raises(
        EvaluationError, match=r"layer\.0\.query has 3 inputs, which are no whole groups of 4"
    ):
        prune_pattern([whole, broken], 2, 4)
    assert values(whole) == [[1, 2, 3, 4]]


def test_afterwards_every_weight_is_what_it_was():
    model = bert()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}

    def pruned_and_broken():
        with kept(prunable(model)):
            prune_together(prunable(model), 0.9, magnitudes)
            assert zeros(each.weight for each in prunable(model))[0] > 1000
            raise RuntimeError

    with pytest.raises(RuntimeError):
        pruned_and_broken()
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 100))
def test_exactly_the_share_is_zero_and_what_is_left_is_no_smaller_than_what_went(seed, percent):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(3, 7, 5, generator=generator)
    matrices = [Matrix(str(place), nn.Parameter(each.clone()), 1) for place, each in enumerate(weights)]
    prune_together(matrices, percent / 100, magnitudes)
    left = torch.stack([each.weight.detach() for each in matrices])
    gone = left == 0
    assert int(gone.sum()) == round(percent / 100 * 105)
    assert torch.equal(left[~gone], weights[~gone])
    if 0 < percent < 100:
        assert weights[gone].abs().max() <= weights[~gone].abs().min()
