"""Zeros of stored weights, on tensors that are made with them."""

import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from evaluations.errors import EvaluationError
from evaluations.sparsity.tensor_names import is_prunable, place_of
from evaluations.sparsity.tensors import stored_tensors
from evaluations.sparsity.weights import weight_profile
from evaluations.sparsity.zeros import MatrixZeros, group_maximum, zero_squares, zeros_of

QUERY = "encoder.layer.0.attention.self.query.weight"
INNER = "encoder.layer.0.intermediate.dense.weight"
OUTPUT = "encoder.layer.0.attention.output.dense.weight"


def zeros(matrix, **settings):
    mask = np.asarray(matrix) != 0
    return zeros_of(lambda: [mask[start : start + 32] for start in range(0, len(mask), 32)], **settings)


def pruned(n, m, shape=(64, 64)):
    """Random weights of which the n largest of every m in a row are kept."""
    weights = np.random.default_rng(0).normal(size=shape)
    groups = np.abs(weights).reshape(shape[0], -1, m)
    ranks = np.argsort(np.argsort(-groups, axis=2), axis=2)
    return np.where(ranks.reshape(shape) < n, weights, 0.0)


@pytest.mark.parametrize("pattern", [(1, 4), (2, 4), (1, 8), (2, 8), (4, 8), (1, 2), (4, 16)])
def test_a_pattern_is_found_where_it_holds(pattern):
    assert zeros(pruned(*pattern)).pattern == pattern


def test_one_violation_is_enough_to_lose_a_pattern():
    """Three non-zeros in one group of four: 2:4 is gone, and so is 4:8 where the neighbour has two."""
    weights = pruned(2, 4)
    weights[5, :4] = [1.0, 1.0, 1.0, 0.0]
    assert zeros(pruned(2, 4)).pattern == (2, 4)
    assert zeros(weights).pattern is None


def test_a_looser_pattern_survives_what_breaks_a_stricter_one():
    weights = pruned(1, 4)
    weights[5, :4] = [1.0, 1.0, 0.0, 0.0]
    weights[5, 4:8] = 0.0
    assert zeros(weights).pattern == (2, 8)  # as dense as 1:4, over longer groups


def test_a_dense_matrix_has_no_pattern():
    assert zeros(np.ones((8, 8))).pattern is None
    assert MatrixZeros().pattern is None


def test_half_of_the_weights_pruned_anywhere_is_no_pattern():
    weights = np.random.default_rng(0).permutation(np.repeat([0.0, 1.0], 32 * 64)).reshape(64, 64)
    found = zeros(weights)
    assert found.zeros == 32 * 64
    assert found.pattern is None


def test_a_pattern_of_two_matrices_is_one_that_holds_in_both():
    assert (zeros(pruned(1, 4)) + zeros(pruned(2, 4))).pattern == (2, 4)
    assert (zeros(pruned(1, 4)) + zeros(np.ones((4, 4)))).pattern is None
    assert (zeros(pruned(1, 4)) + zeros(np.ones((4, 4)))).patterned == 1


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=40))
def test_patterns_are_those_that_reading_every_group_finds(rows):
    mask = np.array(rows)
    groups = [row[start : start + 4] for row in rows for start in (0, 4)]
    assert group_maximum(mask, 4) == max(map(sum, groups))
    found = zeros(mask)
    if found.zeros and found.pattern is None:
        assert max(map(sum, groups)) > 2


def test_rows_columns_and_blocks_of_zeros_are_counted():
    weights = np.ones((70, 40))
    weights[3] = 0.0
    weights[:, 7] = 0.0
    weights[32:64, :32] = 0.0
    found = zeros(weights)
    assert (found.zero_rows, found.zero_columns) == (1, 1)
    assert (found.zero_blocks, found.blocks) == (1, 6)
    assert found.zeros == 40 + 69 + 32 * 32 - 32


def test_a_block_at_the_edge_counts_though_it_is_smaller():
    assert zero_squares(np.zeros((33, 1), dtype=bool)) == 2


def test_a_head_whose_results_are_not_read_is_a_zero_head():
    weights = np.ones((8, 8))
    weights[:, 4:6] = 0.0  # the third of four heads of two
    found = zeros(weights, heads=4)
    assert (found.heads, found.zero_heads) == (4, 1)


@pytest.mark.parametrize(
    ("name", "part", "layer"),
    [
        ("embeddings.word_embeddings.weight", "embedding", None),
        ("embeddings.LayerNorm.weight", "norm", None),
        ("0.auto_model.encoder.layer.11.attention.self.key.weight", "attention", 11),
        ("bert.encoder.layer.0.attention.output.LayerNorm.weight", "norm", 0),
        ("encoder.layer.3.output.dense.weight", "mlp", 3),
        ("pooler.dense.weight", "head", None),
        ("cls.predictions.decoder.weight", "head", None),
        ("model.layers.5.self_attn.q_proj.weight", "attention", 5),
        ("model.layers.5.mlp.gate_proj.weight", "mlp", 5),
        ("model.layers.5.mlp.gate.weight", "router", 5),
        ("model.layers.5.mlp.experts.down_proj", "expert", 5),
        ("model.layers.5.mlp.shared_expert.up_proj.weight", "mlp", 5),
        ("model.layers.5.block_sparse_moe.experts.7.w1.weight", "expert", 5),
        ("model.layers.5.input_layernorm.weight", "norm", 5),
        ("transformer.h.2.attn.c_attn.weight", "attention", 2),
        ("transformer.wte.weight", "embedding", None),
        ("transformer.layer.4.ffn.lin1.weight", "mlp", 4),
        ("encoder.layers.1.mlp.router.layer.weight", "router", 1),
        ("encoder.albert_layer_groups.0.albert_layers.0.ffn.weight", "mlp", 0),
        ("encoder.block.2.layer.0.SelfAttention.q.weight", "attention", 2),
        ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "embedding", 0),
        ("lm_head.weight", "head", None),
    ],
)
def test_a_tensor_is_placed_by_its_name(name, part, layer):
    found = place_of(name)
    assert (found.part, found.layer) == (part, layer)


def test_biases_embeddings_norms_routers_and_heads_are_not_prunable():
    assert is_prunable(QUERY, 2)
    assert not is_prunable("encoder.layer.0.attention.self.query.bias", 1)
    assert not is_prunable("embeddings.word_embeddings.weight", 2)
    assert not is_prunable("model.layers.5.mlp.gate.weight", 2)
    assert not is_prunable("pooler.dense.weight", 2)


def test_it_works_by_hand(tmp_path):
    """16 prunable weights, 4 of them zero; 8 of an embedding, 2 zero; 4 of a bias, all zero."""
    query = torch.ones(4, 4)
    query[0] = 0.0
    embedding = torch.tensor([[1.0, -0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    tensors = {
        QUERY: query,
        "encoder.layer.0.attention.self.query.bias": torch.zeros(4),
        "embeddings.word_embeddings.weight": embedding,
        "embeddings.position_ids": torch.arange(8)[None],
    }
    save_file(tensors, tmp_path / "model.safetensors")
    found = weight_profile([tmp_path], {"num_attention_heads": 2})
    assert found.metrics["prunable_parameters_share"] == 16 / 28
    assert found.metrics["prunable_zeros_share"] == 4 / 16
    assert found.metrics["weight_zeros_share"] == (4 + 4 + 2) / 28
    assert found.metrics["weight_zero_rows_share"] == 1 / 4
    assert found.metrics["weight_zero_columns_share"] == 0
    assert found.metrics["bits_per_weight"] == 32
    assert found.metrics["weight_bytes"] == (tmp_path / "model.safetensors").stat().st_size
    assert found.metrics["weight_zero_heads_share"] is None
    parts = {row["part"]: row for row in found.details["weights"]["parts"]}
    assert parts["embedding"]["zeros_share"] == 2 / 8
    assert parts["attention"]["parameters"] == 20


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
        torch.int8,
    ],
)
def test_zeros_are_seen_in_every_type(tmp_path, dtype):
    matrix = torch.tensor([[0.0, 1.0, -1.0, 2.0], [0.0, 0.0, -2.0, 1.0]]).to(dtype)
    if dtype.is_floating_point:
        matrix[0, 0] = -0.0
    save_file({QUERY: matrix}, tmp_path / "model.safetensors")
    found = weight_profile([tmp_path], {}).metrics
    assert found["prunable_zeros_share"] == 3 / 8
    assert found["bits_per_weight"] == 8 * matrix.element_size()


def test_the_smallest_number_of_a_type_is_no_zero(tmp_path):
    smallest = torch.tensor([[5e-324, 0.0]], dtype=torch.float64)
    save_file({QUERY: smallest}, tmp_path / "model.safetensors")
    assert weight_profile([tmp_path], {}).metrics["prunable_zeros_share"] == 1 / 2


def test_a_pattern_holds_everywhere_only_if_it_holds_in_every_layer(tmp_path):
    half = torch.tensor(pruned(2, 4)).float()
    second = QUERY.replace("layer.0", "layer.1")
    save_file({QUERY: half, second: half.clone()}, tmp_path / "model.safetensors")
    assert weight_profile([tmp_path], {}).metrics["weight_pattern_density"] == 2 / 4
    broken = half.clone()
    broken[5, :4] = 1.0
    save_file({QUERY: half, second: broken}, tmp_path / "model.safetensors")
    found = weight_profile([tmp_path], {})
    assert found.metrics["weight_pattern_density"] is None
    assert found.metrics["weight_pattern_matrices_share"] == 1 / 2
    assert [row["pattern"] for row in found.details["weights"]["layers"]] == ["2:4", None]


def test_heads_are_counted_in_the_output_projection(tmp_path):
    output = torch.ones(4, 4)
    output[:, :2] = 0.0
    save_file({OUTPUT: output, QUERY: torch.ones(4, 4)}, tmp_path / "model.safetensors")
    assert weight_profile([tmp_path], {"num_attention_heads": 2}).metrics["weight_zero_heads_share"] == 1 / 2


def test_a_mask_beside_its_weight_makes_zeros(tmp_path):
    original = QUERY + "_orig"
    mask = torch.ones(4, 4)
    mask[0] = 0.0
    save_file({original: torch.ones(4, 4), QUERY + "_mask": mask}, tmp_path / "model.safetensors")
    found = weight_profile([tmp_path], {})
    assert found.metrics["prunable_zeros_share"] == 4 / 16
    assert found.metrics["prunable_parameters_share"] == 1
    assert found.details["weights"]["masks"] == 1


def test_an_adapter_that_is_not_merged_is_recognised_and_not_counted(tmp_path):
    save_file({QUERY: torch.ones(4, 4)}, tmp_path / "model.safetensors")
    adapter = {f"base_model.model.{QUERY[:-7]}.lora_{side}.weight": torch.zeros(2, 4) for side in "AB"}
    save_file(adapter, tmp_path / "adapter_model.safetensors")
    found = weight_profile([tmp_path], {})
    assert found.details["weights"]["adapter_tensors"] == 2
    assert found.metrics["prunable_zeros_share"] == 0


def test_the_matrices_of_gpt2_are_read_by_their_inputs(tmp_path):
    """They lie as (inputs, outputs): 2:4 down the columns."""
    matrix = torch.tensor(pruned(2, 4)).float().T.contiguous()
    save_file({"h.0.mlp.c_fc.weight": matrix}, tmp_path / "model.safetensors")
    assert weight_profile([tmp_path], {"model_type": "gpt2"}).metrics["weight_pattern_density"] == 0.5
    assert weight_profile([tmp_path], {}).metrics["weight_pattern_density"] is None


def test_a_model_without_layers_has_no_prunable_weight_and_a_reason(tmp_path):
    save_file({"embedding.weight": torch.ones(4, 4)}, tmp_path / "model.safetensors")
    found = weight_profile([tmp_path], {})
    assert found.metrics["prunable_zeros_share"] is None
    assert found.metrics["weight_zeros_share"] == 0
    assert set(found.reasons) == {name for name, value in found.metrics.items() if value is None}


def test_a_folder_without_weights_has_no_metric_and_a_reason(tmp_path):
    found = weight_profile([tmp_path], {})
    assert set(found.metrics.values()) == {None}
    assert set(found.metrics) == set(found.reasons)


def test_of_minilm_46_7_percent_of_the_parameters_are_prunable(minilm):
    found = weight_profile([minilm], json.loads((minilm / "config.json").read_text())).metrics
    assert found["prunable_parameters_share"] == pytest.approx(0.467, abs=0.0005)
    assert found["prunable_zeros_share"] == 0
    assert found["bits_per_weight"] == 32


def written(folder, header, payload):
    content = json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(payload))


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, struct.pack("<Q", 4) + b"nope", struct.pack("<Q", 2) + b"[]"]
)
def test_a_damaged_header_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(EvaluationError, match="MODEL-WEIGHTS"):
        stored_tensors([tmp_path])


@pytest.mark.parametrize(
    "facts",
    [
        {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]},
        {"dtype": "F3", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-8, -4]},
        {"shape": [1]},
        7,
    ],
)
def test_a_tensor_that_is_not_inside_its_file_is_refused(tmp_path, facts):
    written(tmp_path, {"weight": facts}, 4)
    with pytest.raises(EvaluationError, match="MODEL-WEIGHTS"):
        stored_tensors([tmp_path])
