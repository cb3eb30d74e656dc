"""Batches by tokens: what each model reads, and that its vectors are the library's own."""

import numpy as np
import pytest

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system
from tests.evaluations.encoding import tiny_dense

WORDS = tiny_dense.WORDS
TEXTS = [
    " ".join(WORDS[(start + step) % len(WORDS)] for step in range(start * 3 % 17)) for start in range(40)
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny_dense.one_of_each(tmp_path_factory.mktemp("dense"))


def encoder(folder, *settings):
    return KINDS["dense"].load(parse_system(f"dense:{folder}", settings), Runtime("cpu", 1)).encoder


def library(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize("name", ["bert", "static", "towers", "looked_up", "experts", "decoder"])
def test_vectors_are_those_of_encode_query_and_encode_document(models, name):
    folder = getattr(models, name)
    ours, theirs = encoder(folder), library(folder)
    for side, encode in (("query", theirs.encode_query), ("document", theirs.encode_document)):
        found = ours.vectors(TEXTS, side, lambda _: None)
        assert found == pytest.approx(encode(TEXTS, batch_size=4), abs=1e-5)


@pytest.mark.parametrize("name", ["bert", "towers"])
def test_queries_and_documents_differ_where_the_model_says_so(models, name):
    ours = encoder(getattr(models, name))
    assert not np.allclose(ours.vectors(TEXTS, "query"), ours.vectors(TEXTS, "document"))


@pytest.mark.parametrize("name", ["bert", "static", "towers", "decoder"])
def test_tokenising_and_the_forward_pass_apart_give_the_same(models, name):
    ours = encoder(getattr(models, name))
    features = ours.tokenise(TEXTS[:5], "query")
    before = {key: value.clone() for key, value in features.items() if hasattr(value, "clone")}
    first, again = ours.forward(features, "query"), ours.forward(features, "query")
    assert first.tobytes() == again.tobytes()
    assert first == pytest.approx(ours.vectors(TEXTS[:5], "query"), abs=1e-5)
    assert all(features[key].equal(value) for key, value in before.items())


def test_a_module_that_was_changed_in_place_encodes_as_changed(models):
    import torch

    ours = encoder(models.bert)
    before = ours.vectors(TEXTS[:3], "document")
    with torch.no_grad():
        for parameter in ours.module.parameters():
            parameter.mul_(0.5)
    assert not np.allclose(before, ours.modified("halved").vectors(TEXTS[:3], "document"))


def test_no_batch_has_more_tokens_than_its_budget_unless_it_is_one_text(models, monkeypatch):
    from evaluations.encoding import settings

    monkeypatch.setitem(settings.BATCH_TOKENS, "cpu", 24)
    ours, seen = encoder(models.bert), []
    original = type(ours.model).forward
    monkeypatch.setattr(
        type(ours.model),
        "forward",
        lambda self, features, side: (
            seen.append(features["input_ids"].shape) or original(self, features, side)
        ),
    )
    found = ours.vectors(TEXTS, "document")
    assert all(texts * tokens <= 24 or texts == 1 for texts, tokens in seen)
    assert [tokens for _, tokens in seen] == sorted((tokens for _, tokens in seen), reverse=True)
    assert found == pytest.approx(library(models.bert).encode_document(TEXTS), abs=1e-5)


def test_batches_side_by_side_give_the_bytes_of_one_after_the_other(models, monkeypatch):
    import threading

    import torch

    from evaluations.encoding import batches, settings

    monkeypatch.setitem(settings.BATCH_TOKENS, "cpu", 24)
    monkeypatch.setattr(batches, "LEAST_TOKENS", 24)
    alone = encoder(models.bert)
    side_by_side = KINDS["dense"].load(parse_system(f"dense:{models.bert}"), Runtime("cpu", 3)).encoder
    seen, original = set(), type(alone.model).forward

    def forward(self, features, side):
        seen.add((threading.current_thread().name.partition("_")[0], torch.get_num_threads()))
        assert torch.is_inference_mode_enabled()
        return original(self, features, side)

    monkeypatch.setattr(type(alone.model), "forward", forward)
    found = side_by_side.vectors(TEXTS, "document")
    assert seen == {("encoding", 1)}
    assert torch.get_num_threads() == 3
    torch.set_num_threads(1)
    assert found.tobytes() == alone.vectors(TEXTS, "document").tobytes()


def test_whoever_listens_to_the_modules_hears_one_thread(models):
    import threading

    ours = KINDS["dense"].load(parse_system(f"dense:{models.bert}"), Runtime("cpu", 3)).encoder
    heard = set()
    handle = ours.module[0].register_forward_hook(lambda *_: heard.add(threading.current_thread()))
    ours.vectors(TEXTS, "document")
    handle.remove()
    assert heard == {threading.main_thread()}


def test_an_equal_text_is_tokenised_and_encoded_once(models, monkeypatch):
    ours, seen = encoder(models.bert), []
    original = type(ours.model).tokenise
    monkeypatch.setattr(
        type(ours.model),
        "tokenise",
        lambda self, texts, side: seen.extend(texts) or original(self, texts, side),
    )
    done = []
    found = ours.vectors(["wing", "heat flow", "wing", "wing"], "document", done.append)
    assert sorted(seen) == ["heat flow", "wing"]
    assert sum(done) == 4
    assert found[0].tobytes() == found[2].tobytes() == found[3].tobytes()


def test_dimensions_are_cut_and_what_is_compared_by_angle_has_length_one_again(models):
    whole = library(models.cosine).encode_document(TEXTS[1:9])
    cut = encoder(models.cosine, "dimensions=5").vectors(TEXTS[1:9], "document")
    expected = whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True)
    assert cut == pytest.approx(expected, abs=1e-5)
    unscaled = encoder(models.bert, "dimensions=5").vectors(TEXTS[1:9], "document")
    assert unscaled == pytest.approx(library(models.bert).encode_document(TEXTS[1:9])[:, :5], abs=1e-5)


def test_more_dimensions_than_there_are_are_refused(models):
    with pytest.raises(EvaluationError, match=r"OPTION-RANGE.*dimensions: 17 is more than the model's 16"):
        encoder(models.bert, "dimensions=17")


def test_a_length_that_a_static_embedding_would_ignore_is_refused(models):
    with pytest.raises(EvaluationError, match=r"OPTION-UNUSED.*StaticEmbedding"):
        encoder(models.static, "max_length=8")


def test_a_length_is_set_on_the_side_that_cuts_where_queries_are_looked_up(models):
    from sentence_transformers import SentenceTransformer

    text = "wing swept lift heat"
    cut = encoder(models.looked_up, "max_length=4").vectors([text], "document")
    kept = SentenceTransformer(str(models.looked_up), device="cpu").encode_document(["wing swept"])
    assert cut == pytest.approx(kept, abs=1e-5)  # [CLS], two words and [SEP] are four tokens
    whole = encoder(models.looked_up).vectors([text], "query")
    assert encoder(models.looked_up, "max_length=4").vectors([text], "query").tolist() == whole.tolist()


def test_the_experts_of_a_mixture_are_counted(models):
    system = KINDS["dense"].load(parse_system(f"dense:{models.experts}"), Runtime("cpu", 1))
    assert system._model.config["num_local_experts"] == 4


def test_no_texts_give_no_vectors_of_the_right_width(models):
    assert encoder(models.bert).vectors([], "query").shape == (0, 16)


def test_a_failure_while_encoding_is_ours_and_says_so(models, monkeypatch):
    ours = encoder(models.bert)
    monkeypatch.setattr(ours.module, "forward", _fail)
    with pytest.raises(EvaluationFailed, match=r"ENCODING.*out of memory"):
        ours.vectors(["wing"], "document")


def _fail(*_, **__):
    raise RuntimeError("out of memory")
