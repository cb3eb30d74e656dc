"""Changes of what encodes: activations, attention, experts, lengths, averages."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.sparsity.sweeps import sweep_of
from evaluations.sparsity.sweeps.averaging import averaged
from evaluations.sparsity.sweeps.inner_activations import greatest, top_activations
from evaluations.sparsity.sweeps.matrices import fused_experts
from evaluations.sparsity.sweeps.routing import active_parameters, mixture, routed
from evaluations.sparsity.sweeps.sparse_attention import some_keys, top, window
from evaluations.sparsity.sweeps.subject import encoded_by
from tests.evaluations.sweeps import models

TOKENS = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 10, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])


def output(model, tokens=TOKENS, mask=MASK):
    with torch.inference_mode():
        return model(input_ids=tokens, attention_mask=mask).last_hidden_state


def vectors(subject, sweep, value, variant=""):
    """Documents' and queries' vectors at a point, with what the change says of itself."""
    data = models.dataset()
    with sweep_of(sweep).variant(variant).model(subject, value) as altered:
        altered.system.index(data.documents, Progress())
        altered.system.retrieve(data.queries, 10, Progress())
        found = encoded_by(altered.system)
        return found.documents.copy(), found.queries.copy(), altered.facts()


# Activations


def test_the_greatest_activations_of_each_token_stay():
    inner = torch.tensor([[1.0, -4.0, 3.0, 0.5], [2.0, 2.0, 2.0, 2.0]])
    assert greatest(inner, 0.5, None).tolist() == [[0, -4, 3, 0], [2, 2, 0, 0]]


def test_an_activation_that_is_read_by_long_weights_counts_for_more():
    inner, norms = torch.tensor([[1.0, -4.0, 3.0, 0.5]]), torch.tensor([10.0, 1.0, 1.0, 10.0])
    assert greatest(inner, 0.5, norms).tolist() == [[1, 0, 0, 0.5]]


def test_with_nothing_to_zero_the_model_gives_what_it_gave():
    for model in (models.bert(), models.mixtral()):
        before = output(model)
        with top_activations(model, 0.0, weighted=False):
            torch.testing.assert_close(output(model), before, rtol=1e-4, atol=1e-5)
        assert torch.equal(output(model), before)


@pytest.mark.parametrize("weighted", [False, True])
def test_an_mlp_reads_its_greatest_inner_activations_only(weighted):
    model = models.bert(layers=1)
    layer, seen = model.encoder.layer[0], {}
    hook = layer.intermediate.register_forward_hook(
        lambda _, __, out: seen.update(inner=out.detach().clone())
    )
    with top_activations(model, 0.75, weighted=weighted) as counts:
        handle = layer.output.dense.register_forward_pre_hook(
            lambda _, args: seen.update(read=args[0].clone())
        )
        output(model)
        handle.remove()
    hook.remove()
    norms = layer.output.dense.weight.detach().norm(dim=0) if weighted else torch.ones(32)
    for inner, read in zip(seen["inner"].reshape(-1, 32), seen["read"].reshape(-1, 32), strict=True):
        kept = (inner.abs() * norms).topk(8).indices
        expected = torch.zeros(32)
        expected[kept] = inner[kept]
        assert torch.equal(read, expected)
    assert counts.share == 0.75


@pytest.mark.parametrize("weighted", [False, True])
def test_experts_read_their_greatest_inner_activations_only(weighted):
    model = models.mixtral(routed=1)
    experts = fused_experts(model)[0][1]
    hidden = torch.randn(5, 16, generator=torch.Generator().manual_seed(3))
    chosen, share = (
        torch.tensor([[2], [0], [2], [3], [0]]),
        torch.tensor([[1.0], [0.5], [1.0], [0.25], [1.0]]),
    )
    with top_activations(model, 0.5, weighted=weighted), torch.inference_mode():
        found = experts(hidden, chosen, share)
    for token in range(5):
        expert = int(chosen[token])
        gate, up = (experts.gate_up_proj[expert].detach() @ hidden[token]).chunk(2)
        inner = nn.functional.silu(gate) * up
        norms = experts.down_proj[expert].detach().norm(dim=0) if weighted else torch.ones(12)
        kept = (inner.abs() * norms).topk(6).indices
        expected = experts.down_proj[expert].detach()[:, kept] @ inner[kept] * share[token]
        torch.testing.assert_close(found[token], expected, rtol=1e-4, atol=1e-5)


def test_a_model_without_an_mlp_is_told_so():
    with (
        pytest.raises(EvaluationError, match="no MLP is found"),
        top_activations(nn.Linear(2, 2), 0.5, weighted=False),
    ):
        pass


# Attention


def test_each_head_keeps_its_greatest_keys_and_those_that_tie_with_the_last():
    scores = torch.tensor([[[[3.0, 1.0, 2.0, 9.0], [1.0, 1.0, 0.0, 5.0]]]])
    allowed = torch.tensor([True, True, True, False]).expand_as(scores)
    assert (top(1)(scores, allowed) & allowed)[0, 0].tolist() == [
        [True, False, False, False],
        [True, True, False, False],
    ]


def test_a_window_reaches_as_far_before_as_after():
    scores = torch.zeros(1, 1, 4, 4)
    assert window(1)(scores, scores).int().tolist() == [
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [0, 1, 1, 1],
        [0, 0, 1, 1],
    ]


@pytest.mark.parametrize("make", [models.bert, models.mixtral])
@pytest.mark.parametrize("choice", [top(6), window(6)])
def test_attention_to_every_key_is_the_models_own(make, choice):
    model = make()
    before = output(model)
    with some_keys(model, choice) as counts:
        torch.testing.assert_close(output(model)[MASK == 1], before[MASK == 1], rtol=1e-4, atol=1e-4)
    assert counts.left_out == 0.0
    assert torch.equal(output(model), before)


def test_a_token_that_sees_itself_only_has_its_own_value_as_attention():
    model = models.bert(layers=1)
    attention, seen = model.encoder.layer[0].attention.self, {}
    hook = attention.register_forward_hook(lambda _, args, out: seen.update(into=args[0], out=out[0]))
    with some_keys(model, window(0)):
        output(model)
    hook.remove()
    with torch.inference_mode():
        own = attention.value(seen["into"])
    torch.testing.assert_close(seen["out"][MASK == 1], own[MASK == 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("choice", [top(2), window(1)])
def test_padding_is_never_chosen(choice):
    model = models.bert()
    with some_keys(model, choice):
        padded = output(model)[1, :4]
        alone = output(model, TOKENS[1:, :4], MASK[1:, :4])[0]
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-5)


def test_what_is_left_out_is_counted_over_real_tokens_only():
    model = models.bert(layers=1)
    with some_keys(model, window(1)) as counts:
        output(model)
    # Of 6 tokens 36 pairs, 16 kept; of 4 tokens 16 pairs, 10 kept; in two heads.
    assert (counts.allowed, counts.kept) == (2 * (36 + 16), 2 * (16 + 10))


def test_a_causal_model_stays_causal():
    model = models.mixtral()
    with some_keys(model, top(2)):
        whole = output(model, TOKENS[:1], MASK[:1])[0, :3]
        start = output(model, TOKENS[:1, :3], MASK[:1, :3])[0]
    torch.testing.assert_close(whole, start, rtol=1e-4, atol=1e-5)


# Experts


def test_as_many_experts_are_asked_as_the_point_says():
    model = models.mixtral()
    found = mixture(model)
    assert (found.routed, found.experts) == (2, 4)
    layer, asked = model.layers[0].mlp, []
    hook = layer.experts.register_forward_pre_hook(lambda _, args: asked.append(args[1].shape[-1]))
    for experts in (1, 3):
        with routed(found, experts):
            output(model)
    output(model)
    hook.remove()
    assert asked == [1, 3, 2]


def test_asking_as_many_experts_as_the_model_does_changes_nothing():
    model = models.mixtral()
    before = output(model)
    with routed(mixture(model), 2):
        assert torch.equal(output(model), before)


def test_active_parameters_count_the_experts_asked():
    model = models.mixtral()
    everything = sum(parameter.numel() for parameter in model.parameters())
    one_expert = 3 * 16 * 12  # gate, up and down
    assert active_parameters(model, mixture(model), 1) == everything - 2 * 3 * one_expert
    assert active_parameters(model, mixture(model), 4) == everything


def test_more_experts_than_there_are_and_a_model_without_any_are_refused():
    model = models.mixtral()
    with (
        pytest.raises(EvaluationError, match="a layer has 4 experts, fewer than 5"),
        routed(mixture(model), 5),
    ):
        pass
    with pytest.raises(EvaluationError, match="no mixture of experts"):
        mixture(models.bert())


# Averages


def test_an_average_keeps_the_zeros_that_all_share_and_comes_undone():
    one, two, three = (nn.Linear(3, 1, bias=False) for _ in range(3))
    for layer, weights in ((one, [0.0, 1.0, 0.0]), (two, [0.0, 2.0, 3.0]), (three, [0.0, 6.0, 0.0])):
        layer.weight.data = torch.tensor([weights])
    with averaged(one, [two, three]):
        assert one.weight.tolist() == [[0.0, 3.0, 1.0]]
    assert one.weight.tolist() == [[0.0, 1.0, 0.0]]


def test_models_of_two_architectures_are_not_averaged():
    with (
        pytest.raises(EvaluationError, match="checkpoint 1 has another weight"),
        averaged(nn.Linear(3, 1), [nn.Linear(2, 1)]),
    ):
        pass


# Through a system


def test_a_share_of_zero_gives_the_unmodified_vectors_exactly(tiny):
    subject = models.subject(tiny)
    for variant in ("magnitude", "random", "layer"):
        documents, queries, facts = vectors(subject, "weights", "0", variant)
        assert np.array_equal(documents, subject.encoded.documents)
        assert np.array_equal(queries, subject.encoded.queries)
        assert (facts.axis, facts.level) == (0.0, 0.0)


def test_a_pruned_model_encodes_with_its_zeros_and_is_whole_again_afterwards(tiny):
    subject = models.subject(tiny)
    before = subject.encoded.documents.copy()
    documents, _, facts = vectors(subject, "weights", "50")
    assert not np.array_equal(documents, before)
    assert facts.axis == pytest.approx(0.5)
    # 2 layers of 4 x 16 x 16 and 2 x 16 x 32 weights are prunable.
    prunable = 2 * (4 * 256 + 2 * 512)
    everything = sum(parameter.numel() for parameter in subject.module.parameters())
    own_zeros = sum(int((parameter == 0).sum()) for parameter in subject.module.parameters())
    assert facts.metrics["weight_zeros_share"] == pytest.approx((prunable / 2 + own_zeros) / everything)
    assert np.array_equal(vectors(subject, "weights", "0")[0], before)


def test_shorter_texts_are_those_of_a_system_with_that_length(tiny):
    from evaluations.systems import KINDS

    subject = models.subject(tiny)
    documents, _, facts = vectors(subject, "length", "5")
    spec = replace(subject.spec, options={**subject.spec.options, "max_length": 5})
    other = KINDS["dense"].load(spec, models.RUNTIME)
    other.index(models.dataset().documents, Progress())
    assert np.array_equal(documents, other.document_vectors)
    assert (facts.axis, facts.level) == (5, 1 - 5 / 32)


def test_a_soup_of_a_model_with_itself_is_the_model(tiny):
    subject = models.subject(tiny)
    documents, _, facts = vectors(subject, "soup", str(tiny))
    assert np.array_equal(documents, subject.encoded.documents)
    assert (facts.axis, facts.level) == (2, None)


def test_a_soup_of_two_encodes_with_their_average(tiny, tmp_path):
    other = models.saved(models.bert(seed=1), tmp_path)
    documents, _, _ = vectors(models.subject(tiny), "soup", f"{other}+{tiny}")
    mean, one, two = models.bert(), models.bert(), models.bert(seed=1)
    with torch.no_grad():
        for name, parameter in mean.named_parameters():
            parameter.copy_((2 * one.get_parameter(name) + two.get_parameter(name)) / 3)
    expected = models.subject(models.saved(mean, tmp_path / "mean")).encoded.documents
    np.testing.assert_allclose(documents, expected, atol=1e-5)


def test_a_mixture_answers_at_every_number_of_experts(mixture):
    subject = models.subject(mixture)
    unmodified = sweep_of("experts").unmodified(subject)
    assert (unmodified.axis, unmodified.level) == (2, 0.0)
    same, _, _ = vectors(subject, "experts", "2")
    assert np.array_equal(same, subject.encoded.documents)
    fewer, _, facts = vectors(subject, "experts", "1")
    assert not np.array_equal(fewer, same)
    assert (facts.level, facts.metrics["experts_per_token"]) == (0.5, 1)
