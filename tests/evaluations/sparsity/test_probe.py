"""The costly profiles: pure parts by hand, hooks on tiny models whose inside is known."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from evaluations.sparsity.activations import ActivationProbe, LayerActivations, inner_layers
from evaluations.sparsity.attention import AttentionCounts, attention_counts, attention_findings
from evaluations.sparsity.compute import ComputeProbe, eager
from evaluations.sparsity.experts import expert_findings, load_entropy, load_of
from evaluations.sparsity.parameters import Routing
from evaluations.sparsity.probe import ProbedModel, probed
from evaluations.sparsity.sample import Sample, chosen, sample_of

HIDDEN, INNER, HEADS, TOKENS = 64, 256, 4, 24


def bert(**settings):
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = {
        "vocab_size": 50, "hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": HEADS,
        "intermediate_size": INNER, "max_position_embeddings": 64,
    }  # fmt: skip
    return BertModel(BertConfig(**{**config, **settings}), add_pooling_layer=False).eval()


def mixtral():
    from transformers import MixtralConfig, MixtralModel

    torch.manual_seed(0)
    return MixtralModel(
        MixtralConfig(
            vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2, max_position_embeddings=64,
        )
    ).eval()  # fmt: skip


def tokens(text):
    return torch.tensor([[1 + ord(letter) % 49 for letter in text]])


def profile(model, documents=("abcdefghijklmnopqrstuvwx",), queries=("what is it",)):
    def encode(text, _):
        with torch.inference_mode():
            return model(input_ids=tokens(text), attention_mask=torch.ones_like(tokens(text)))

    return probed(ProbedModel(model, model.config.to_dict(), encode), Sample(documents, queries))


# Compute


def test_the_operations_of_a_bert_layer_are_those_of_the_closed_form():
    """Four projections, two products of heads, two matrices of the MLP; a product of n pairs is 2 n."""
    model = bert()
    per_layer = 2 * TOKENS * (4 * HIDDEN**2 + 2 * HIDDEN * INNER) + 4 * TOKENS**2 * HIDDEN
    found = profile(model, documents=["x" * TOKENS]).metrics["document_compute_flop"]
    assert found == pytest.approx(2 * per_layer, rel=0.02)


def test_without_zeros_nothing_can_be_skipped():
    found = profile(bert()).metrics
    assert found["document_compute_claimed_flop"] == found["document_compute_flop"]


def test_pruned_weights_are_skipped_exactly():
    """Half of the rows of each MLP's first matrix: what they would compute, and no more."""
    model = bert()
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.intermediate.dense.weight[: INNER // 2] = 0
            layer.intermediate.dense.bias.fill_(1.0)  # so that the units still say something
    found = profile(model, documents=["x" * TOKENS]).metrics
    skipped = 2 * 2 * TOKENS * HIDDEN * INNER // 2
    assert found["document_compute_flop"] - found["document_compute_claimed_flop"] == skipped


def test_zero_activations_are_skipped_where_the_next_matrix_would_read_them():
    """A ReLU whose biases silence all but a quarter of the inner units."""
    model = bert(hidden_act="relu")
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.intermediate.dense.bias.fill_(-1e6)
            layer.intermediate.dense.bias[: INNER // 4] = 1e6
    found = profile(model, documents=["x" * TOKENS])
    skipped = 2 * 2 * TOKENS * HIDDEN * INNER * 3 // 4
    flop, claimed = found.metrics["document_compute_flop"], found.metrics["document_compute_claimed_flop"]
    assert flop - claimed == skipped
    assert found.metrics["activation_zeros_share"] == 3 / 4


def test_a_product_of_two_sparse_factors_counts_pairs_without_a_zero():
    layer = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]))
    inputs = torch.tensor([[5.0, 6.0, 0.0], [7.0, 8.0, 9.0]])
    with torch.inference_mode():
        found = ComputeProbe(layer).run(lambda: layer(inputs))
    # Inputs' columns have 2, 2, 1 non-zeros; they meet 1, 0, 2 non-zero weights.
    assert (found.dense, found.claimed) == (2 * 2 * 3 * 2, 2 * (2 * 1 + 2 * 0 + 1 * 2))


def test_the_attention_implementation_comes_back_whatever_happens():
    model = bert()
    before = model.config._attn_implementation

    def fail():
        with eager([model]):
            assert model.config._attn_implementation == "eager"
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert model.config._attn_implementation == before


def test_watching_changes_no_vector_and_leaves_no_hook():
    model = bert()
    with torch.inference_mode():
        before = model(input_ids=tokens("abc")).last_hidden_state
    profile(model)
    with torch.inference_mode():
        assert torch.equal(model(input_ids=tokens("abc")).last_hidden_state, before)
    hooks = [module._forward_hooks or module._forward_pre_hooks for module in model.modules()]
    assert not any(hooks)


# Activations


def test_near_zeros_are_below_a_thousandth_of_the_layers_root_mean_square():
    """RMS of 2, 2, 0, 0.001 is about 1.414; 0 and 0.001 are below 0.001414. Exact zeros: one."""
    counts, inner = LayerActivations(), torch.tensor([[2.0, -2.0], [0.0, 0.001]])
    counts.measure(inner)
    counts.count_near(inner)
    assert (counts.elements, counts.zeros, counts.near) == (4, 1, 2)
    assert counts.rms == pytest.approx(np.sqrt(8.000001 / 4))


def test_gelu_has_near_zeros_and_a_bert_has_one_inner_layer_a_layer():
    found = profile(bert())
    assert found.metrics["activation_zeros_share"] == 0
    assert 0 <= found.metrics["activation_near_zeros_share"] < 0.2
    assert [row["layer"] for row in found.details["activations"]["layers"]] == [0, 1]


OWN_WORDS = {
    "GPT2": {"n_embd": 16, "n_layer": 1, "n_head": 4},
    "DistilBert": {"dim": 16, "n_layers": 1, "n_heads": 4, "hidden_dim": 24},
}
USUAL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Mistral", "layers.0.mlp.down_proj"),
        ("DistilBert", "transformer.layer.0.ffn.lin2"),
        ("ModernBert", "layers.0.mlp.Wo"),
        ("GPT2", "h.0.mlp.c_proj"),
        ("Albert", "encoder.albert_layer_groups.0.albert_layers.0.ffn_output"),
        ("XLMRoberta", "encoder.layer.0.output.dense"),
        ("MPNet", "encoder.layer.0.output.dense"),
        ("Mixtral", "layers.0.mlp.experts.act_fn"),
    ],
)
def test_the_inner_layer_is_found_in_every_family(name, expected):
    import transformers

    config = getattr(transformers, f"{name}Config")(vocab_size=30, **OWN_WORDS.get(name, USUAL))
    config.pad_token_id, config.num_key_value_heads = 0, 4
    model = getattr(transformers, f"{name}Model")(config)
    assert [found for found, _ in inner_layers(model)] == [expected]


def test_a_model_without_an_mlp_has_no_activations_and_a_reason():
    probe = ActivationProbe(nn.Linear(2, 2))
    assert probe.attach() == []
    found = profile(bert(num_hidden_layers=0))
    assert found.metrics["activation_zeros_share"] is None
    assert found.metrics["attention_small_entries_share"] is None
    assert set(found.reasons) >= {"activation_zeros_share", "attention_small_entries_share"}


# Attention


def test_mass_in_the_top_keys_by_hand():
    """Ten keys: eight of 0.12, one of 0.0395, one of 0.0005. The first eight hold 0.96; one is small."""
    row = torch.tensor([[0.12] * 8 + [0.0395, 0.0005]])
    found = attention_counts(row)
    assert (found.rows, found.cells, found.small) == (1, 10, 1)
    assert found.mass == pytest.approx(0.96)


def test_masked_cells_are_no_entries_and_short_rows_no_concentration():
    """A causal triangle of ten: rows nine and ten have more than eight keys; 55 cells may be used."""
    allowed = torch.ones(10, 10).tril().bool()
    weights = allowed / allowed.sum(dim=-1, keepdim=True)
    found = attention_counts(weights[None, None], allowed[None, None])
    assert (found.rows, found.cells, found.small) == (2, 55, 0)
    assert found.mass == pytest.approx(8 / 9 + 8 / 10)


def test_a_causal_model_is_seen_below_its_diagonal_alone():
    found = profile(mixtral(), documents=["x" * 20], queries=[])
    even = [sum(min(8 / keys, 1.0) for keys in range(9, 21)) / 12]
    assert found.metrics["attention_top8_mass_share"] >= even[0] - 1e-6
    assert found.metrics["attention_small_entries_share"] < 0.05


def test_even_attention_is_seen_as_even_at_every_layer_and_length():
    """Queries of zeros look at all keys alike: 8 of 24 keys hold a third, 8 of 10 hold four fifths."""
    model = bert()
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.attention.self.query.weight.zero_()
            layer.attention.self.query.bias.zero_()
    details = profile(model, documents=["x" * 24], queries=["y" * 10]).details["attention"]
    shares = {row["tokens"]: row["top_mass_share"] for row in details["lengths"]}
    assert shares == {"1-16": pytest.approx(8 / 10), "17-32": pytest.approx(8 / 24)}
    assert [row["layer"] for row in details["layers"]] == [0, 1]
    expected = (24 * 8 / 24 + 10 * 8 / 10) / 34
    assert details["layers"][0]["top_mass_share"] == pytest.approx(expected)


def test_where_every_text_is_short_the_mass_has_a_reason():
    found = attention_findings({0: AttentionCounts(cells=4)}, {0: AttentionCounts(cells=4)})
    assert found.metrics["attention_top8_mass_share"] is None
    assert found.metrics["attention_small_entries_share"] == 0
    assert "8 tokens" in found.reasons["attention_top8_mass_share"]


# Experts


def test_the_load_of_experts_by_hand():
    load = load_of(torch.tensor([[0, 1], [0, 1], [0, 3]]), 4)
    assert load.tolist() == [3, 2, 0, 1]
    shares = np.array([3, 2, 1]) / 6
    assert load_entropy(load) == pytest.approx(-(shares * np.log(shares)).sum() / np.log(4))


def test_an_even_load_has_entropy_one_and_a_single_expert_zero():
    assert load_entropy(np.array([5, 5, 5, 5])) == pytest.approx(1)
    assert load_entropy(np.array([0, 7, 0, 0])) == 0


def test_dead_experts_are_counted_over_all_layers():
    found = expert_findings({0: np.array([3, 0, 0, 1]), 1: np.array([1, 1, 1, 0])}, Routing(4, 2))
    assert found.metrics["dead_experts"] == 3
    assert found.metrics["experts"] == 4
    assert found.metrics["experts_per_token"] == 2


def test_a_mixture_whose_router_prefers_two_experts_has_two_dead_ones_a_layer():
    """A router of zeros gives all experts one score; the first two of each tie are taken."""
    model = mixtral()
    with torch.no_grad():
        for layer in model.layers:
            layer.mlp.gate.weight.zero_()
    found = profile(model)
    assert found.metrics["dead_experts"] == 2 * 2
    assert found.metrics["expert_load_entropy"] == pytest.approx(np.log(2) / np.log(4))
    assert found.metrics["activation_zeros_share"] is not None


def test_a_token_of_a_mixture_costs_its_routed_experts_alone():
    """A token and layer: q, o; k, v of half the heads; the router; two experts of three matrices."""
    count = 20
    projections = 2 * 16 * 16 + 2 * 16 * 8 + 4 * 16 + 2 * 3 * 16 * 24
    expected = 2 * (2 * count * projections + 4 * count**2 * 16)
    found = profile(mixtral(), documents=["x" * count]).metrics["document_compute_flop"]
    assert found == pytest.approx(expected, rel=0.02)


def test_a_model_without_experts_says_so():
    found = profile(bert())
    assert found.metrics["experts"] is None
    assert found.reasons["dead_experts"] == "the model has no experts"


# The sample


def test_the_sample_does_not_depend_on_the_order_of_the_corpus():
    texts = [f"text {number}" for number in range(500)]
    assert chosen(texts, 5) == chosen(reversed(texts), 5)
    assert len(set(chosen(texts * 2, 5))) == 5


def test_the_sample_has_the_smallest_digests():
    def digest(text):
        return hashlib.blake2b(text.encode(), digest_size=8).digest()

    texts = [f"text {number % 300}" for number in range(500)]
    assert chosen(iter(texts), 7) == sorted(set(texts), key=digest)[:7]


@pytest.mark.parametrize(("documents", "expected"), [(1, 1), (100, 4), (640, 20), (100_000, 32)])
def test_the_sample_is_a_thirty_second_part_within_bounds(documents, expected):
    found = sample_of([str(number) for number in range(documents)], ["a", "b"])
    assert len(found.documents) == expected
    assert len(found.queries) == 2


def test_the_sample_is_stated():
    stated = profile(bert(), documents=["abc", "def"], queries=[])
    assert stated.details["sample"]["documents"] == 2
    assert stated.metrics["query_compute_flop"] is None
    assert stated.reasons["query_compute_flop"] == "the sample has no query"
