"""A query through systems made of others: it finds what their runs hold, and takes what members take."""

from dataclasses import replace

import numpy as np
import pytest

from evaluations import pipeline
from evaluations.datasets import Documents, load
from evaluations.latency.harness import alternate, empty_path, timed
from evaluations.latency.references import matched_sum
from evaluations.latency.schedule import Schedule
from evaluations.latency.session import Settings
from evaluations.latency.statistics import ratio
from evaluations.latency.throughput import Plan
from evaluations.latency.track import measure_latency
from evaluations.progress import Progress
from evaluations.search.found import Found
from evaluations.systems import KINDS, Runtime
from evaluations.systems.abilities import PathPart
from evaluations.systems.parse import parse_system, spec_from_dict
from tests.evaluations.latency.stand_ins import HandClock, waiting_path
from tests.evaluations.systems import tiny_cross_encoder, tiny_sparse

QUERIES = {"q1": "swept wing lift", "q2": "heat flow", "q3": "wing wing", "q4": "boundary of a plate"}
TEN = 10
QUICK = Settings(schedule=Schedule(block_s=0.0), throughput=None)
LOADED = replace(QUICK, throughput=Plan(closed_s=0.1, open_s=0.1, documents=3, clients=(1,)))


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    folders = tiny_sparse.one_of_each_form(tmp_path_factory.mktemp("sparse"))
    return f"sparse:{folders.router}"


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    return f"rerank:{tiny_cross_encoder.save(tmp_path_factory.mktemp('cross-encoder'))}"


def loaded(spec, runtime=None):
    return KINDS[spec.kind].load(spec, runtime or Runtime("cpu", 1))


def indexed(spec, documents=tiny_sparse.DOCUMENTS):
    system = loaded(spec)
    system.index(Documents(list(documents), list(documents.values())), Progress())
    return system


def found_by(system, text, k=TEN):
    path = system.query_path(k, threads=1)
    found = path.search(path.encode(path.tokenise(text)))
    ids = [system.document_ids[row] for row in found.rows]
    return dict(zip(ids, found.scores.tolist(), strict=True))


def first_of(ranked, k=TEN):
    return dict(zip(ranked.document_ids[:k], ranked.scores[:k].tolist(), strict=True))


def assert_path_equals_run(system, queries=QUERIES, *, k=TEN, exactly=True):
    run = system.retrieve(queries, 1000, Progress())
    for query_id, text in queries.items():
        found, expected = found_by(system, text, k), first_of(run.lists[query_id], k)
        assert list(found) == list(expected)
        assert found == pytest.approx(expected, rel=0 if exactly else 1e-5)


@pytest.mark.parametrize(
    "settings",
    [(), ("normalisation=z-score",), ("normalisation=rank", "weights=0.7,0.3"), ("method=rrf",)],
    ids=str,
)
@pytest.mark.parametrize("k", [2, TEN])
def test_the_first_of_a_fused_query_are_those_of_the_run(sparse, settings, k):
    assert_path_equals_run(indexed(parse_system("fusion", settings, [sparse, "bm25"])), k=k)


def test_a_fusion_with_a_dense_member_finds_what_its_run_holds(minilm):
    system = indexed(parse_system("fusion", ("weights=0.7,0.3",), [f"dense:{minilm}", "bm25"]))
    assert_path_equals_run(system, exactly=False)
    path = system.query_path(TEN, 1)
    assert path.parts == (PathPart("neural", "dense", "fp32"), PathPart("none", "sparse", "fp32"))
    assert (path.encoder, path.index, path.engine, path.device) == ("several", "several", "exact 1", "cpu")


def test_members_lists_are_fused_at_the_depth_of_an_evaluation():
    """Of 1,300 documents min-max sees the 1,000th: scales of shorter or longer lists are others."""
    documents = {
        f"d{number:04}": "wing " * (1 + number % 37) + "flow " * (number % 11 + number // 90) + "plate"
        for number in range(1300)
    }
    members = [{"kind": "bm25", "options": {"b": b}} for b in (0.1, 0.9)]
    system = indexed(spec_from_dict({"kind": "fusion", "members": members}), documents)
    assert_path_equals_run(system, {"q1": "wing flow", "q2": "plate wing"})
    shorter = system.retrieve({"q1": "wing flow"}, TEN, Progress()).lists["q1"]
    assert found_by(system, "wing flow") != first_of(shorter)


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_the_first_of_a_reranked_query_are_those_of_the_run(cross_encoder, depth):
    system = indexed(parse_system(cross_encoder, [f"depth={depth}"], ["bm25"]))
    for k in (1, 2, TEN):
        assert_path_equals_run(system, k=k, exactly=False)


def test_a_reranked_query_that_finds_nothing_finds_nothing(cross_encoder):
    assert found_by(indexed(parse_system(cross_encoder, (), ["bm25"])), "plateau") == {}


def test_a_reranker_says_what_it_and_its_first_stage_do(cross_encoder):
    system = indexed(parse_system(cross_encoder, ("precision=bf16",), ["bm25"]))
    path = system.query_path(TEN, 1)
    assert path.parts == (PathPart("none", "sparse", "fp32"), PathPart("neural", None, "bf16"))
    assert path.precision == "bf16"
    assert str(matched_sum(path)) == "bm25 tokenise+encode + bm25 search + encoder tokenise+encode"


def test_reading_pairs_keeps_to_the_threads_of_a_query(cross_encoder):
    """With batches on several threads the scorer would set torch's own back to as many."""
    import torch

    system = loaded(parse_system(cross_encoder, (), ["bm25"]), Runtime("cpu", 2))
    documents = tiny_sparse.DOCUMENTS
    system.index(Documents(list(documents), list(documents.values())), Progress())
    path, before = system.query_path(TEN, threads=1), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        path.search(path.encode(path.tokenise("wing")))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("made", ["fusion", "rerank"])
def test_self_hits_are_out_of_the_lists_of_members(write_dataset, cross_encoder, made):
    """As in an evaluation: the query's own document changes no scale, and takes no other's place."""
    documents = [("q1", "", "wing wing wing"), ("d1", "", "wing heat"), ("d2", "", "wing of a plate lift")]
    folder = write_dataset(documents=documents, queries=[("q1", "wing")], qrels=[("q1", "d1", 1)])
    dataset = load(folder, self_hits="remove")
    spec = {
        "fusion": lambda: spec_from_dict(
            {"kind": "fusion", "members": [{"kind": "bm25", "options": {"b": b}} for b in (0.1, 0.9)]}
        ),
        "rerank": lambda: parse_system(cross_encoder, ("depth=1",), ["bm25"]),
    }[made]()
    system = loaded(spec)
    pipeline._index(system, dataset, Progress())
    run = pipeline._retrieved(system, dataset, Progress())
    with_self_hit = found_by(system, "wing")
    system.name_queries(dataset.queries)
    found = found_by(system, "wing")
    assert "q1" in with_self_hit
    assert list(found) == list(run.lists["q1"].document_ids)
    assert found == pytest.approx(first_of(run.lists["q1"]), rel=1e-5)
    assert set(found) == {"d1", "d2"}


def test_of_queries_with_one_text_the_first_ones_self_hit_is_taken_out():
    documents = {"a": "wing", "b": "wing lift"}
    system = indexed(parse_system("fusion", (), ["bm25", "bm25"]), documents)
    system.finish_lists(lambda run: pipeline.without_self_hits(run))
    system.name_queries({"b": "wing", "a": "wing"})
    assert set(found_by(system, "wing")) == {"a"}


class Member:
    """Takes as long as it is told in each step, and finds two documents."""

    document_ids = ("d1", "d2")

    def __init__(self, clock, steps):
        self.tokenise, self.encode, self.search = (clock.step(ms) for ms in steps)

    def index(self, documents, progress):
        pass

    def query_path(self, k, threads):
        def search(given):
            self.search(given)
            return Found(np.array([0, 1]), np.array([2.0, 1.0], dtype=np.float32))

        return replace(empty_path(), tokenise=self.tokenise, encode=self.encode, search=search)


@pytest.fixture
def clocked(monkeypatch):
    """A fusion of three members whose steps take (1, 2, 3), (10, 20, 30) and (100, 200, 300) ms."""
    clock = HandClock()
    members = iter(Member(clock, steps) for steps in ((1, 2, 3), (10, 20, 30), (100, 200, 300)))
    monkeypatch.setitem(KINDS, "bm25", replace(KINDS["bm25"], load=lambda *_: next(members)))
    system = loaded(parse_system("fusion", (), ["bm25"] * 3))
    system.index(Documents(["d1", "d2"], ["", ""]), Progress())
    return clock, system.query_path(TEN, 1)


def test_each_step_of_a_whole_is_that_step_of_all_its_members(clocked):
    clock, path = clocked
    assert timed(path, ["a query"], clock) == [(111_000_000, 222_000_000, 333_000_000)]


def test_the_ratio_of_a_whole_is_to_its_members_references_together(clocked):
    """Members take 666 ms; BM25, three times in the sum, 2 + 9 each: 666 / 33."""
    clock, path = clocked
    bm25 = replace(empty_path(), encode=clock.step(2), search=clock.step(9))
    schedule = Schedule(block_s=0.0)
    found = alternate({"system": path, "bm25": bm25}, ["a", "b"], schedule, clock=clock)
    blocks = matched_sum(path).blocks(found)
    assert ratio(found["system"].totals, blocks, schedule.seed).value == pytest.approx(666 / 33)


@pytest.fixture
def calm(monkeypatch):
    """Gates that let every session pass, and references that need no model and little memory."""
    monkeypatch.setattr("evaluations.latency.track.session_gates", lambda *_: [])
    monkeypatch.setattr("evaluations.latency.references.encoder_path", lambda *_: waiting_path(encode_ms=0.2))


def measured(spec, dataset, out, settings=QUICK):
    request = pipeline.Request(spec, out, ("latency",), Runtime("cpu", 1), latency=settings)
    return pipeline.evaluate(request, dataset).tracks["latency"]


def test_a_fusion_is_measured_through_the_pipeline(write_dataset, sparse, calm, tmp_path):
    spec = parse_system("fusion", (), ["bm25", sparse])
    found = measured(spec, load(write_dataset()), tmp_path / "out", LOADED)
    metrics = found.metrics
    assert metrics["query_latency_p50_ms"] > metrics["query_search_latency_p50_ms"] > 0
    assert metrics["latency_ratio_matched_p50"] > 0
    assert metrics["queries_per_second"] > 0
    assert metrics["documents_per_second"] is None
    assert found.reasons["documents_per_second"].startswith("made of other systems")
    assert found.details["matched_reference"] == "2 x bm25 tokenise+encode + 2 x bm25 search"
    parts = found.details["system"]["parts"]
    assert [part["encoder"] for part in parts] == ["none", "table"]
    assert found.details["engines"] == []


def test_a_reranker_is_measured_through_the_pipeline(write_dataset, cross_encoder, calm, tmp_path):
    spec = parse_system(cross_encoder, ("depth=2",), ["bm25"])
    found = measured(spec, load(write_dataset()), tmp_path / "out")
    metrics = found.metrics
    assert metrics["query_search_latency_p50_ms"] > metrics["query_encode_latency_p50_ms"]
    assert set(found.details["references"]) == {"bm25", "encoder"}
    assert metrics["latency_ratio_matched_p50"] < metrics["latency_ratio_bm25_p50"]


def test_queries_are_named_before_a_path_is_asked_for(monkeypatch):
    said = []

    class Named(Member):
        def name_queries(self, queries):
            said.append(("named", len(queries)))

        def query_path(self, k, threads):
            said.append(("path", k))
            raise LookupError

    dataset = load("mini", corpus=False)
    with pytest.raises(LookupError):
        measure_latency(Named(HandClock(), (1, 1, 1)), dataset, QUICK, Progress())
    assert said == [("named", len(dataset.queries)), ("path", 10)]
