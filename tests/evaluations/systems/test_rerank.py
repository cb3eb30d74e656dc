"""Reranking by a tiny cross-encoder made here, whose scores a float64 formula in the test gives too."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from evaluations import pipeline
from evaluations.datasets import Documents, load
from evaluations.datasets.texts import MappedTexts, TextStore
from evaluations.errors import EvaluationError
from evaluations.pipeline import Request
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.base import RankedList
from evaluations.systems.parse import parse_system
from evaluations.systems.rerank import reranked, tail_scores
from evaluations.systems.trec import read_run
from tests.evaluations.systems import tiny_cross_encoder
from tests.evaluations.systems.tiny_cross_encoder import score

DOCUMENTS = {
    "d1": "swept wing",
    "d2": "boundary layer flow",
    "d3": "heat flow of a wing",
    "d4": "swept wing",
    "d5": "wing plate lift lift",
    "d6": "wing heat heat heat",
}
QUERY = "wing"


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return tiny_cross_encoder.save(tmp_path_factory.mktemp("cross-encoder"))


def spec_of(folder, *settings, first_stage="bm25"):
    return parse_system(f"rerank:{folder}", settings, [first_stage])


def loaded(folder, *settings, documents=DOCUMENTS, first_stage="bm25"):
    system = KINDS["rerank"].load(spec_of(folder, *settings, first_stage=first_stage), Runtime("cpu", 1))
    system.index(Documents(list(documents), list(documents.values())), Progress())
    return system


def retrieved(system, text=QUERY, depth=1000):
    ranked = system.retrieve({"q": text}, depth, Progress()).lists["q"]
    return dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))


def refusal(folder, *settings):
    with pytest.raises(EvaluationError) as caught:
        loaded(folder, *settings)
    return str(caught.value)


def test_the_score_is_the_models_raw_number_for_the_pair(model):
    found = retrieved(loaded(model))
    expected = {key: score(QUERY, text) for key, text in DOCUMENTS.items() if "wing" in text}
    assert found == pytest.approx(expected, abs=1e-5)
    assert max(found.values()) > 1  # no sigmoid


def test_the_order_is_by_score_and_then_by_id_descending(model):
    found = retrieved(loaded(model))
    expected = sorted(found, key=lambda key: (round(score(QUERY, DOCUMENTS[key]), 6), key), reverse=True)
    assert list(found) == expected
    assert found["d1"] == found["d4"]  # the same text
    assert list(found).index("d4") < list(found).index("d1")


def test_only_what_the_first_stage_found_is_read(model):
    assert "d2" not in retrieved(loaded(model))


def test_the_unread_tail_follows_in_first_stage_order_with_falling_scores(model):
    system = KINDS["bm25"].load(parse_system("bm25"), Runtime("cpu", 1))
    system.index(Documents(list(DOCUMENTS), list(DOCUMENTS.values())), Progress())
    first = list(retrieved(system))
    found = retrieved(loaded(model, "depth=2"))
    assert list(found)[2:] == first[2:]
    assert set(list(found)[:2]) == set(first[:2])
    assert (np.diff(np.array(list(found.values()), dtype=np.float32)) < 0)[1:].all()
    assert all(value == int(value) for value in list(found.values())[2:])


def test_scores_do_not_depend_on_what_else_is_asked_nor_on_its_order(model):
    system = loaded(model)
    queries = {"q1": "wing", "q2": "lift of a plate", "q3": "swept wing"}
    forward = system.retrieve(queries, 1000, Progress()).lists
    backward = system.retrieve(dict(reversed(queries.items())), 1000, Progress()).lists
    for query_id in queries:
        assert forward[query_id].document_ids == backward[query_id].document_ids
        assert forward[query_id].scores.tobytes() == backward[query_id].scores.tobytes()


def test_an_equal_pair_is_read_once(model):
    from evaluations.systems.cross_encoder import PairScorer

    scorer = PairScorer.load(model, spec_of(model).options, Runtime("cpu", 1))
    seen = []
    original = scorer.model.preprocess
    scorer.model.preprocess = lambda pairs, **settings: seen.extend(pairs) or original(pairs, **settings)
    done = []
    scores = scorer.scores([("wing", "lift"), ("wing", "heat"), ("wing", "lift")], done.append)
    assert sorted(seen) == [("wing", "heat"), ("wing", "lift")]
    assert scores[0] == scores[2] == pytest.approx(score("wing", "lift"), abs=1e-5)
    assert sum(done) == 3


def test_texts_in_a_file_have_the_scores_of_those_in_memory(model, monkeypatch):
    monkeypatch.setattr("evaluations.datasets.texts.IN_MEMORY_BYTES", 0)
    store = TextStore()
    for text in DOCUMENTS.values():
        store.append(text)
    documents = Documents(list(DOCUMENTS), store.finished())
    assert isinstance(documents.texts, MappedTexts)
    system = KINDS["rerank"].load(spec_of(model), Runtime("cpu", 1))
    system.index(documents, Progress())
    assert retrieved(system) == retrieved(loaded(model))
    sizes = [len(text) for text in DOCUMENTS.values()]  # all of it ASCII
    assert system.sparsity().details["document_text_bytes"] == sum(sizes)


def test_batches_hold_about_as_many_tokens_and_change_no_score(model, monkeypatch):
    from evaluations.encoding import settings
    from evaluations.systems.cross_encoder import PairScorer

    scorer = PairScorer.load(model, spec_of(model).options, Runtime("cpu", 1))
    pairs = [("wing", " ".join(["heat", "lift", "of", "a"] * count)) for count in range(1, 8)]
    whole = scorer.scores(pairs, lambda _: None)
    monkeypatch.setitem(settings.BATCH_TOKENS, "cpu", 40)
    sizes: list[int] = []
    assert scorer.scores(pairs, sizes.append) == pytest.approx(whole, abs=1e-5)
    assert sizes[0] == 1 < sizes[-1]
    assert sum(sizes) == 7


def test_longer_pairs_are_cut_at_the_maximum_length(model):
    long = {"d1": "wing " + "lift " * 200, "d2": "wing heat"}
    found = retrieved(loaded(model, documents=long))
    assert found["d1"] == pytest.approx(score("wing", "wing " + "lift " * 35), abs=1e-4)  # 40 positions
    short = retrieved(loaded(model, "max_length=8", documents=long))
    assert short["d1"] == pytest.approx(score("wing", "wing lift lift lift"), abs=1e-4)


def test_a_lower_precision_is_near_and_still_float32(model):
    found = retrieved(loaded(model, "precision=bf16"))
    assert found == pytest.approx({key: score(QUERY, DOCUMENTS[key]) for key in found}, abs=0.1)


def test_a_query_that_finds_nothing_has_an_empty_list(model):
    assert retrieved(loaded(model), "plateau") == {}


def test_a_first_stage_may_be_a_run_and_its_unknown_documents_are_left_out(model, tmp_path):
    path = tmp_path / "first.trec"
    path.write_text("q Q0 x9 1 9 t\nq Q0 d2 2 8 t\nq Q0 d5 3 7 t\n")
    system = loaded(model, first_stage=f"run:{path}")
    system.choose("tiny", frozenset(DOCUMENTS))
    run = system.retrieve({"q": QUERY}, 1000, Progress())
    assert set(run.lists["q"].document_ids) == {"d2", "d5"}
    assert run.warnings == ("member 1 (run): 1 documents of the run are not in the corpus, such as x9",)


def test_a_classifier_that_is_not_in_the_files_is_refused(tmp_path):
    """The library would draw it at random and rank by it."""
    plain = tiny_cross_encoder.save(tmp_path / "bare", head=False)
    assert refusal(plain).startswith("error[HEAD-MISSING]: 2 tensors are not in the model's files")
    assert "classifier.weight" in refusal(plain)


def test_a_classifier_with_one_of_its_tensors_gone_is_refused(model, tmp_path):
    import shutil

    copy = shutil.copytree(model, tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    del tensors["classifier.bias"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    assert "classifier.bias" in refusal(copy)
    assert refusal(copy).startswith("error[HEAD-MISSING]")


def test_a_dense_encoder_is_no_reranker(minilm):
    assert refusal(minilm).startswith("error[HEAD-MISSING]")


def test_a_model_with_several_numbers_a_pair_is_refused(tmp_path):
    three = tiny_cross_encoder.save(tmp_path / "three", labels=3)
    assert refusal(three).startswith(
        "error[MODEL-KIND]: three gives 3 numbers for a pair; a reranker gives one"
    )


def test_a_bare_causal_model_is_refused(model, tmp_path):
    import shutil

    copy = shutil.copytree(model, tmp_path / "causal")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "architectures": ["Qwen3ForCausalLM"]}))
    assert refusal(copy).startswith("error[MODEL-KIND]: causal is a causal language model")


def test_a_length_beyond_the_models_positions_is_refused(model):
    assert refusal(model, "max_length=41").startswith("error[OPTION-RANGE]: option max_length: 41 is more")


def test_a_model_saved_by_sentence_transformers_is_read_alike(model, tmp_path):
    from sentence_transformers import CrossEncoder

    CrossEncoder(str(model), device="cpu").save_pretrained(str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "modules.json").is_file()
    assert retrieved(loaded(tmp_path / "saved")) == retrieved(loaded(model))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "rerank needs 1 first stage; 0 given"),
        (["bm25", "bm25"], "rerank needs 1 first stage; 2 given"),
        (["fusion"], "'fusion' cannot be a first stage of rerank; it takes: bm25, dense"),
        (["rerank:org/name"], "'rerank' cannot be a first stage of rerank"),
    ],
)
def test_a_first_stage_is_one_system_that_retrieves(members, message):
    with pytest.raises(EvaluationError) as caught:
        parse_system("rerank:org/name", (), members)
    assert str(caught.value).startswith(f"error[SYSTEM-MEMBERS]: {message}")


@pytest.mark.parametrize("depth", [0, 1001])
def test_a_depth_out_of_range_is_refused(depth):
    with pytest.raises(EvaluationError, match="OPTION-RANGE"):
        parse_system("rerank:org/name", [f"depth={depth}"], ["bm25"])


@pytest.mark.parametrize("lowest", [0.0, -0.25, 3.7, 1e-40, -7.0, 8e6, -8.4e6, 2.0**24, -3e9, 1e30, -1e37])
def test_a_tail_falls_strictly_in_float32_and_survives_being_written(lowest):
    tail = tail_scores(np.float32(lowest), 999)
    assert tail.dtype == np.float32
    assert np.isfinite(tail).all()
    whole = np.concatenate([[np.float32(lowest)], tail])
    assert (np.diff(whole) < 0).all()
    read_back = np.array([np.float32(f"{value:.9g}") for value in whole])
    assert (read_back == whole).all()


def test_a_tail_is_the_whole_numbers_below_the_lowest_score():
    assert tail_scores(np.float32(-1.5), 3).tolist() == [-3.0, -4.0, -5.0]
    assert tail_scores(np.float32(2.0), 2).tolist() == [1.0, 0.0]
    assert tail_scores(np.float32(2.0), 0).tolist() == []


def test_the_seam_by_hand():
    ranked = RankedList(["a", "b", "c", "d"], np.array([9, 8, 7, 6], dtype=np.float32))
    found = reranked(ranked, np.array([0.5, 0.5], dtype=np.float32))
    assert found.document_ids == ["b", "a", "c", "d"]
    assert found.scores.tolist() == [0.5, 0.5, -1.0, -2.0]


def test_it_works_from_the_command_line_to_the_report(write_dataset, model, tmp_path):
    request = Request(spec_of(model, "depth=1"), tmp_path / "out")
    report = pipeline.evaluate(request, load(write_dataset()))
    system, found = report.system, report.tracks["sparsity"]
    assert system["revision"].startswith("sha256:")
    assert system["members"][0]["kind"] == "bm25"
    assert system["members"][0]["options"]["k1"] == 1.5
    parts = found.details["members"]
    assert [part["part"] for part in parts] == ["reranker", "first stage (bm25)"]
    assert found.metrics["parameters"] == parts[0]["metrics"]["parameters"] > 0
    assert found.metrics["index_bytes"] == parts[1]["metrics"]["index_bytes"] > 0
    assert found.metrics["flops"] is None
    assert found.reasons["flops"].startswith("belongs to the parts")
    texts = [
        "Wing lift of a swept wing",
        "boundary layer on a flat plate",
        "Heat heat transfer in a boundary layer",
    ]
    assert found.details["document_text_bytes"] == sum(map(len, texts))
    assert "reranking" in report.provenance["durations_s"]
    assert report.provenance["runtime"]["member_1"].startswith("bm25: device cpu")


def test_self_hits_are_out_before_anything_is_read(write_dataset, model, tmp_path):
    documents = [("q1", "", "wing wing wing"), ("d1", "", "wing heat"), ("d2", "", "wing of a plate")]
    folder = write_dataset(documents=documents, queries=[("q1", "wing")], qrels=[("q1", "d1", 1)])
    request = Request(spec_of(model, "depth=1"), tmp_path / "out")
    pipeline.evaluate(request, load(folder, self_hits="remove"))
    written = read_run(tmp_path / "out" / "run.trec.gz", {"q1": "wing"}).lists["q1"]
    assert set(written.document_ids) == {"d1", "d2"}
    read = written.document_ids[0]  # with the self-hit in its place it would have been the only one read
    text = {"d1": "wing heat", "d2": "wing of a plate"}[read]
    assert written.scores[0] == pytest.approx(score("wing", text), abs=1e-5)
