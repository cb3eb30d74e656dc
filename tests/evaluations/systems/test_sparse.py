"""Sparse encoders by sentence-transformers: vectors worked out by hand, and what is refused."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from evaluations import pipeline
from evaluations.datasets import Documents, load
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system
from tests.evaluations.systems import tiny_bert
from tests.evaluations.systems.tiny_bert import SIZE, SPECIAL, rows, splade, term

DOCUMENTS = {
    "d1": "swept wing",
    "d2": "boundary layer",
    "d3": "heat flow",
    "d4": "swept wing",
    "d5": "",
    "d6": "lift of a plate",
}
IDF = {"wing": 3.0, "lift": 2.5, "heat": 2.0, "flow": 1.0, "[SEP]": 9.0, "elsewhere": 4.0}


def loaded(folder, *settings, documents=DOCUMENTS):
    spec = parse_system(f"sparse:{folder}", settings)
    system = KINDS["sparse"].load(spec, Runtime(device="cpu", threads=1))
    system.index(Documents(list(documents), list(documents.values())), Progress())
    return system


def retrieved(system, text, depth=10):
    ranked = system.retrieve({"q": text}, depth, Progress()).lists["q"]
    return dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))


def vectors(system, text, side):
    return rows(system._encoder.matrix([text], side, lambda _: None))[0]


def refusal(folder, *settings):
    with pytest.raises(EvaluationError) as caught:
        loaded(folder, *settings)
    return str(caught.value)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """One folder of each form, saved by sentence-transformers as a submitter would."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.sparse_encoder.modules import (
        SparseAutoEncoder,
        SparseStaticEmbedding,
        SpladePooling,
    )

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("sparse")
    plain, headless = tiny_bert.masked_lm(root / "plain"), tiny_bert.backbone(root / "headless")

    def transformer():
        return Transformer(str(plain), transformer_task="fill-mask")

    def saved(name, modules, **settings):
        model = SparseEncoder(modules=modules, device="cpu", **settings)
        model.save_pretrained(str(root / name))
        return root / name

    def static():
        first = transformer()
        weight = torch.zeros(SIZE)
        weight[term("wing")], weight[term("lift")] = 3.0, 2.5
        queries = SparseStaticEmbedding(first.tokenizer, weight=weight, frozen=True)
        return Router.for_query_document([queries], [first, SpladePooling("max", "log1p_relu")])

    def autoencoder():
        backbone = Transformer(str(headless))
        module = SparseAutoEncoder(input_dim=SIZE, hidden_dim=24, k=2)
        with torch.no_grad():
            module.encoder.weight.zero_()
            module.encoder.weight[:SIZE] = torch.eye(SIZE)
            module.pre_bias.fill_(-0.25)
            module.latent_bias.fill_(-0.5)
        return [backbone, Pooling(SIZE, "mean"), module]

    with_idf = shutil.copytree(plain, root / "idf")
    (with_idf / "idf.json").write_text(json.dumps(IDF))
    return SimpleNamespace(
        plain=plain,
        headless=headless,
        idf=with_idf,
        siamese=saved(
            "siamese", [transformer(), SpladePooling("max")], prompts={"query": "query ", "document": ""}
        ),
        router=saved("router", [static()]),
        autoencoder=saved("autoencoder", autoencoder()),
    )


@pytest.fixture
def copy(tiny, tmp_path):
    return lambda name: shutil.copytree(getattr(tiny, name), tmp_path / name)


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


def test_a_length_beyond_the_models_positions_is_refused(tiny):
    assert "OPTION-RANGE" in refusal(tiny.siamese, "max_length=33")
    assert "OPTION-RANGE" in refusal(tiny.router, "max_length=33")


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
    from evaluations.systems import sparse_vectors

    whole = rows(loaded(tiny.plain)._encoder.matrix(list(DOCUMENTS.values()), "document", lambda _: None))
    monkeypatch.setattr(sparse_vectors, "LOGIT_BYTES", 4 * SIZE * 14)  # 14 tokens, bytes counted as tokens
    encoder, done = loaded(tiny.plain)._encoder, []
    batches = [
        len(block.places) for block in encoder.blocks(list(DOCUMENTS.values()), "document", done.append)
    ]
    assert batches == [1, 1, 2, 1, 1]  # the two equal texts are one row, and come together
    assert done == batches
    assert rows(encoder.matrix(list(DOCUMENTS.values()), "document", lambda _: None)) == pytest.approx(whole)


def test_nearly_dense_vectors_are_refused_with_the_number(copy):
    folder = copy("plain")
    tensors = load_file(folder / "model.safetensors")
    bias = tensors["cls.predictions.decoder.bias"]
    for name in ("cls.predictions.decoder.bias", "cls.predictions.bias"):
        tensors[name] = np.full_like(bias, 1.0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert "VECTORS-DENSE" in refusal(folder)
    assert "17.0 of 17 dimensions (100%)" in refusal(folder)


def test_a_large_corpus_of_dense_vectors_is_refused_by_a_sample(copy, monkeypatch):
    from evaluations.systems import sparse_vectors

    folder = copy("plain")
    tensors = load_file(folder / "model.safetensors")
    for name in ("cls.predictions.decoder.bias", "cls.predictions.bias"):
        tensors[name] = np.full_like(tensors[name], 1.0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setattr(sparse_vectors.SparseTextEncoder, "blocks", counted(sparse_vectors))
    documents = {f"d{place}": f"{'wing ' * (place % 7)}heat" for place in range(300)}
    with pytest.raises(EvaluationError, match="VECTORS-DENSE"):
        loaded(folder, documents=documents)
    assert counted.texts == 32


def counted(module):
    """`blocks` that notes of how many texts it was asked for vectors."""
    original = module.SparseTextEncoder.blocks
    counted.texts = 0

    def blocks(self, texts, side, advance):
        counted.texts += len(texts)
        return original(self, texts, side, advance)

    return blocks


def test_a_head_that_is_not_in_the_file_is_refused(copy):
    folder = copy("siamese")
    tensors = load_file(folder / "model.safetensors")
    del tensors["cls.predictions.transform.dense.weight"], tensors["cls.predictions.decoder.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    found = refusal(folder)
    assert found.startswith("error[HEAD-MISSING]")
    assert "cls.predictions.decoder.weight" in found


@pytest.mark.parametrize("name", ["encoder.weight", "latent_bias"])
def test_an_autoencoder_that_is_not_in_the_file_is_refused(copy, name):
    folder = copy("autoencoder")
    inner = folder / "2_SparseAutoEncoder" / "model.safetensors"
    tensors = load_file(inner)
    for each in list(tensors):
        if each == name or (name == "encoder.weight" and each == "decoder.linear.weight"):
            del tensors[each]
    save_file(tensors, inner)
    assert refusal(folder).startswith("error[HEAD-MISSING]")


def test_an_autoencoder_without_its_file_is_refused(copy):
    folder = copy("autoencoder")
    (folder / "2_SparseAutoEncoder" / "model.safetensors").unlink()
    assert refusal(folder).startswith("error[HEAD-MISSING]")


def test_a_plain_encoder_would_get_a_random_autoencoder_and_is_refused(tiny):
    assert refusal(tiny.headless).startswith("error[HEAD-MISSING]: the model declares no sparse head")


def test_a_dense_model_would_get_a_random_autoencoder_and_is_refused(copy):
    folder = copy("siamese")
    settings = folder / "config_sentence_transformers.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "model_type": "SentenceTransformer"}))
    assert refusal(folder).startswith("error[HEAD-MISSING]: the model declares no sparse head")


def test_an_idf_file_beside_a_model_without_a_head_is_refused(copy):
    folder = copy("headless")
    (folder / "idf.json").write_text(json.dumps(IDF))
    assert refusal(folder, "activation=relu").startswith("error[HEAD-MISSING]")


def test_an_idf_file_alone_does_not_say_its_activation(tiny):
    assert refusal(tiny.idf).startswith("error[OPTION-MISSING]")


@pytest.mark.parametrize("content", [[], {}, {"wing": "3"}, {"wing": float("inf")}, {"elsewhere": 1.0}])
def test_an_idf_file_of_anything_but_weights_is_refused(copy, content):
    folder = copy("idf")
    (folder / "idf.json").write_text(json.dumps(content))
    assert refusal(folder, "activation=relu").startswith("error[IDF-WEIGHTS]: idf.json")


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("siamese", "activation=relu"),
        ("plain", "document_template={text} {text}"),
        ("router", "query_template={text}"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(tiny, name, setting):
    assert refusal(getattr(tiny, name), setting).startswith("error[OPTION-UNUSED]")


def test_pickled_weights_of_a_routers_side_are_refused(copy):
    folder = copy("router")
    inner = next(folder.glob("query_*"))
    (inner / "model.safetensors").rename(inner / "pytorch_model.bin")
    assert refusal(folder).startswith("error[MODEL-WEIGHTS]")


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
