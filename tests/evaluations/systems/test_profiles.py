"""What each kind says of itself in the sparsity track, on models whose numbers are known."""

import numpy as np
import pytest

from evaluations.datasets import Documents, load
from evaluations.pipeline import Request, measure
from evaluations.progress import Progress
from evaluations.sparsity.pooling import DIMENSION_COUNTS, pooled_flops, read_table
from evaluations.sparsity.sample import chosen
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system
from tests.evaluations.systems import tiny_bert
from tests.evaluations.systems.tiny_sparse import DOCUMENTS

QUERIES = {"q1": "swept wing lift", "q2": "heat flow"}


def profiled(spec, *settings):
    spec = parse_system(spec, settings)
    system = KINDS[spec.kind].load(spec, Runtime(device="cpu", threads=1))
    system.index(Documents(list(DOCUMENTS), list(DOCUMENTS.values())), Progress())
    system.retrieve(QUERIES, 10, Progress())
    return system.sparsity()


def test_a_splade_model_has_a_whole_profile(tiny):
    found = profiled(f"sparse:{tiny.siamese}")
    nulls = {name for name, value in found.metrics.items() if value is None}
    # Its three words a text are too few for eight keys; it has no experts and no pattern of zeros.
    assert nulls == set(found.reasons) >= {"attention_top8_mass_share", "experts", "dead_experts"}
    assert "could not be watched" not in " ".join(found.reasons.values())
    # The tiny model's attention output and MLP output are zeros: 17^2 of 4 x 17^2, 8 x 17 of 2 x 8 x 17.
    prunable = 4 * 17**2 + 2 * 8 * 17
    assert found.metrics["prunable_zeros_share"] == pytest.approx((17**2 + 8 * 17) / prunable)
    assert found.metrics["index_served_bytes"] < found.metrics["index_bytes"]
    assert found.details["sample"]["documents"] == 4
    assert found.metrics["document_compute_claimed_flop"] < found.metrics["document_compute_flop"]


def test_expansion_and_dropped_terms_are_counted_by_the_models_own_tokeniser(tiny):
    """A text that says lift gets wing too, one that says heat gets boundary; of, a and plate are in none."""
    found = profiled(f"sparse:{tiny.plain}").metrics
    for side, texts in (("document", chosen(DOCUMENTS.values(), 4)), ("query", QUERIES.values())):
        words = [{tiny_bert.term(word) for word in text.split()} for text in texts]
        weighed = [set(np.flatnonzero(tiny_bert.splade(text)).tolist()) for text in texts]
        pairs = list(zip(weighed, words, strict=True))
        assert found[f"{side}_expansion_terms_mean"] == np.mean([len(own - said) for own, said in pairs])
        assert found[f"{side}_dropped_terms_mean"] == np.mean([len(said - own) for own, said in pairs])
    assert found["query_expansion_terms_mean"] > 0


def test_a_query_that_is_looked_up_costs_no_operation(tiny):
    found = profiled(f"sparse:{tiny.router}")
    assert found.metrics["query_compute_flop"] == 0
    assert found.metrics["query_active_parameters"] == 0
    assert found.metrics["document_compute_flop"] > 0
    assert found.details["inference_free"] is True


def test_an_autoencoders_dimensions_are_no_terms(tiny):
    found = profiled(f"sparse:{tiny.autoencoder}")
    assert found.metrics["document_expansion_terms_mean"] is None
    assert "no terms" in found.reasons["document_expansion_terms_mean"]


def test_counts_by_dimension_are_kept_where_they_mean_the_same_everywhere(tiny):
    table = profiled(f"sparse:{tiny.plain}").arrays[DIMENSION_COUNTS]
    assert table.shape == (2, 1 + tiny_bert.SIZE)
    assert table[:, 0].tolist() == [len(QUERIES), len(DOCUMENTS)]
    assert DIMENSION_COUNTS not in profiled("bm25").arrays


def test_bm25_has_no_model_and_costs_no_operation():
    found = profiled("bm25")
    assert found.metrics["parameters"] == found.metrics["document_compute_flop"] == 0
    assert found.metrics["prunable_zeros_share"] is None
    assert found.reasons["prunable_zeros_share"] == "there is no model"
    assert found.metrics["index_served_bytes"] > 0
    assert set(found.reasons) == {name for name, value in found.metrics.items() if value is None}


def test_an_evaluation_leaves_the_counts_beside_its_report(tiny, write_dataset, tmp_path):
    spec = parse_system(f"sparse:{tiny.plain}", [])
    dataset = load(str(write_dataset()))
    report = measure(Request(spec, tmp_path / "out", runtime=Runtime("cpu", 1)), dataset.blind())
    with (tmp_path / "out" / DIMENSION_COUNTS).open("rb") as stream:
        table = read_table(stream)
    assert table[:, 0].tolist() == [2, 3]
    assert pooled_flops([table]) == pytest.approx(report.tracks["sparsity"].metrics["flops"], rel=1e-12)
    assert "profiling" in report.provenance["durations_s"]
