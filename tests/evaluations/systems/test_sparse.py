"""Sparse encoders by sentence-transformers, against vectors worked out by hand."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from evaluations import pipeline
from evaluations.datasets import load
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system
from tests.evaluations.systems.tiny_bert import SIZE, SPECIAL, rows, splade, term
from tests.evaluations.systems.tiny_sparse import DOCUMENTS, loaded


def retrieved(system, text, depth=10):
    ranked = system.retrieve({"q": text}, depth, Progress()).lists["q"]
    return dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))


def vectors(system, text, side):
    return rows(system.encoder.vectors([text], side, lambda _: None))[0]


def test_it_works(tiny):
    found = retrieved(loaded(tiny.siamese), "wing")
    query = splade("query wing")  # the model's own prompt comes before queries
    assert set(found) == {"d1", "d3", "d4", "d6"}  # wing, and what wing names too: flow and lift
    for document, score in found.items():
        assert score == pytest.approx(query @ splade(DOCUMENTS[document]), rel=1e-6)


def test_a_vector_is_log_of_one_plus_the_greatest_logit(tiny):
    system = loaded(tiny.siamese)
    assert vectors(system, "swept wing", "document") == pytest.approx(splade("swept wing"), rel=1e-6)
    # By hand: at the word wing, 4 * 0.75 for itself, -0.25 * 0.5 for flow's own weight, -1 for the bias.
    flow = np.log1p(4 * 0.75 - 0.25 * 0.5 - 1)
    assert vectors(system, "swept wing", "document")[term("flow")] == pytest.approx(flow, rel=1e-6)


def test_equal_documents_have_equal_scores_and_their_ids_decide(tiny):
    found = retrieved(loaded(tiny.siamese), "swept wing")
    assert found["d1"] == found["d4"]
    assert list(found).index("d4") < list(found).index("d1")


def test_ids_decide_also_where_documents_are_encoded_in_another_order(tiny):
    documents = {"b": "wing", "d": "wing wing wing", "a": "wing wing", "c": "wing", "e": "heat"}
    assert list(retrieved(loaded(tiny.plain, documents=documents), "wing")) == ["d", "c", "b", "a"]


def test_a_plain_masked_language_model_is_a_splade(tiny):
    assert vectors(loaded(tiny.plain), "heat flow", "document") == pytest.approx(
        splade("heat flow"), rel=1e-6
    )


def test_the_activation_of_the_spec_adds_a_logarithm(tiny):
    system = loaded(tiny.plain, "activation=log1p_relu")
    assert vectors(system, "heat flow", "query") == pytest.approx(splade("heat flow", logarithms=2), rel=1e-6)


def test_prompts_of_the_spec_replace_the_models_own(tiny):
    system = loaded(tiny.siamese, "query_prompt=heat ", "document_prompt=flow ")
    assert vectors(system, "wing", "query") == pytest.approx(splade("heat wing"), rel=1e-6)
    assert vectors(system, "wing", "document") == pytest.approx(splade("flow wing"), rel=1e-6)


def test_the_longest_text_can_be_shortened(tiny):
    system = loaded(tiny.plain, "max_length=4")
    assert vectors(system, "heat flow lift plate", "document") == pytest.approx(splade("heat flow"), rel=1e-6)


def test_a_router_looks_queries_up_and_encodes_documents(tiny):
    system = loaded(tiny.router)
    query = np.zeros(SIZE)
    query[term("wing")] = 3.0
    assert vectors(system, "a wing of wing", "query").tolist() == query.tolist()
    assert vectors(system, "wing", "document") == pytest.approx(splade("wing", logarithms=2), rel=1e-6)
    assert retrieved(system, "wing")["d1"] == pytest.approx(
        3.0 * splade("swept wing", logarithms=2)[term("wing")], rel=1e-6
    )


def test_a_routers_queries_are_shortened_too(tiny):
    system = loaded(tiny.router, "max_length=2")
    assert vectors(system, "heat lift wing", "query")[term("lift")] == 2.5
    assert vectors(system, "heat lift wing", "query")[term("wing")] == 0


def test_a_bare_idf_file_weighs_queries_and_special_tokens_count_nowhere(tiny):
    system = loaded(tiny.idf, "activation=relu")
    query = vectors(system, "wing flow [SEP] elsewhere", "query")
    assert dict(zip(np.flatnonzero(query).tolist(), query[query > 0].tolist(), strict=True)) == {
        term("wing"): 3.0,
        term("flow"): 1.0,
    }
    whole = splade("lift of a plate")
    assert whole[term("[SEP]")] > 0  # the head gives the special token a weight
    expected = np.where(np.arange(SIZE) < len(SPECIAL), 0, whole)
    assert vectors(system, "lift of a plate", "document") == pytest.approx(expected, rel=1e-6)


def test_an_autoencoders_greatest_latents_are_the_vector(tiny):
    # The mean of [CLS], swept, wing and [SEP] is (4 - 3 / 4) / 4 at each of their places and -1/4 elsewhere.
    value = (4 - 0.75) / 4 + 0.25 - 0.5
    system = loaded(tiny.autoencoder, documents={"d": "wing wing wing", "e": "heat"})
    found = vectors(system, "wing wing wing wing", "document")
    assert np.count_nonzero(vectors(system, "swept wing", "document")) == 2
    assert vectors(system, "swept wing", "document").max() == pytest.approx(value, rel=1e-5)
    assert found[term("wing")] == pytest.approx((4 * 4 - 2 * 0.25) / 6 + 0.25 - 0.5, rel=1e-5)
    assert found.shape == (24,)


def test_cosine_is_searched_on_vectors_of_length_one(copy):
    folder = copy("siamese")
    settings = folder / "config_sentence_transformers.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "similarity_fn_name": "cosine"}))
    query, document = splade("query wing"), splade("swept wing")
    expected = query @ document / np.linalg.norm(query) / np.linalg.norm(document)
    assert retrieved(loaded(folder), "wing")["d1"] == pytest.approx(expected, rel=1e-6)


def test_bf16_is_near_fp32_and_not_it(tiny):
    fp32, bf16 = (
        retrieved(loaded(tiny.plain), "wing"),
        retrieved(loaded(tiny.plain, "precision=bf16"), "wing"),
    )
    assert fp32 != bf16
    assert bf16 == pytest.approx(fp32, rel=0.05)


def test_sparsity_equals_the_librarys_own_evaluator(tiny):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.evaluation import SparseInformationRetrievalEvaluator

    queries = {"q1": "wing flow", "q2": "boundary layer", "q3": "a plate"}
    system = loaded(tiny.router)
    system.retrieve(queries, 10, Progress())
    ours = system.sparsity().metrics
    evaluator = SparseInformationRetrievalEvaluator(
        queries, DOCUMENTS, {query: {"d1"} for query in queries}, batch_size=8
    )
    evaluator(SparseEncoder(str(tiny.router), device="cpu", local_files_only=True))
    theirs = evaluator.sparsity_stats
    assert ours["query_active_dims_mean"] == pytest.approx(theirs["query_active_dims"], rel=1e-6)
    assert ours["document_active_dims_mean"] == pytest.approx(theirs["corpus_active_dims"], rel=1e-6)
    assert ours["document_sparsity_ratio"] == pytest.approx(theirs["corpus_sparsity_ratio"], rel=1e-6)
    assert ours["flops"] == pytest.approx(theirs["avg_flops"], rel=1e-6)
    assert ours["postings_per_query_mean"] == pytest.approx(len(DOCUMENTS) * ours["flops"], rel=1e-12)
    assert ours["index_bytes"] > 0


def test_a_siamese_model_uses_all_parameters_on_both_sides(tiny):
    system = loaded(tiny.siamese)
    system.retrieve({"q": "wing"}, 10, Progress())
    found = system.sparsity()
    stored = sum(tensor.size for tensor in load_file(tiny.siamese / "model.safetensors").values())
    counts = [found.metrics[name] for name in ("parameters", "active_parameters", "query_active_parameters")]
    assert counts == [stored, stored, stored]
    assert found.details["inference_free"] is False


@pytest.mark.parametrize(("name", "settings"), [("router", ()), ("idf", ("activation=relu",))])
def test_an_inference_free_models_queries_cost_no_parameters(tiny, name, settings):
    system = loaded(getattr(tiny, name), *settings)
    system.retrieve({"q": "wing"}, 10, Progress())
    found = system.sparsity()
    assert found.metrics["query_active_parameters"] == 0
    assert found.metrics["parameters"] == found.metrics["active_parameters"] + SIZE
    assert found.details["inference_free"] is True


def test_a_query_without_terms_finds_nothing(tiny):
    assert retrieved(loaded(tiny.router), "heat") == {}


def test_no_batch_is_larger_than_its_logits_may_be(tiny, monkeypatch):
    from evaluations.encoding import batches

    whole = rows(loaded(tiny.plain).encoder.vectors(list(DOCUMENTS.values()), "document", lambda _: None))
    monkeypatch.setattr(batches, "OUTPUT_BYTES", 4 * SIZE * 8)  # of 8 tokens
    encoder, done = loaded(tiny.plain).encoder, []
    list(encoder.blocks(list(DOCUMENTS.values()), "document", done.append))
    # With [CLS] and [SEP] 6, 4, 4, 4 and 2 tokens; the second batch has a text that is there twice.
    assert done == [1, 3, 2]
    assert rows(encoder.vectors(list(DOCUMENTS.values()), "document", lambda _: None)) == pytest.approx(whole)


def test_a_whole_evaluation_reports_quality_and_sparsity(tiny, tmp_path, write_dataset):
    words = [(f"d{place}", "", text) for place, text in enumerate(DOCUMENTS.values())]
    folder = write_dataset(
        documents=words, queries=[("q1", "wing"), ("q2", "heat")], qrels=[("q1", "d0", 1), ("q2", "d2", 1)]
    )
    spec = parse_system(f"sparse:{tiny.idf}", ["activation=relu"])
    request = pipeline.Request(spec=spec, out=tmp_path / "out", runtime=Runtime(threads=1))
    report = pipeline.evaluate(request, load(str(folder)))
    assert report.tracks["retrieval"].metrics["nDCG@10"] > 0.5
    assert report.tracks["sparsity"].details["inference_free"] is True
    assert report.tracks["sparsity"].details["vocabulary"] == SIZE
    assert {"idf.json", "model.safetensors"} <= set(report.system["files"])


def test_inspecting_says_what_a_folder_holds_without_loading_it(tiny):
    forms = {
        "siamese": "modules",
        "router": "modules",
        "autoencoder": "modules",
        "idf": "idf",
        "plain": "masked",
    }
    for name, form in forms.items():
        found = KINDS["sparse"].inspect(parse_system(f"sparse:{getattr(tiny, name)}"))
        assert (found["safe"], found["form"]) == (True, form)
    found = KINDS["sparse"].inspect(parse_system(f"sparse:{tiny.headless}"))
    assert found["safe"] is False
    assert "HEAD-MISSING" in str(found["why"])
