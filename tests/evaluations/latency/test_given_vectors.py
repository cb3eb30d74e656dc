"""Vectors that were made elsewhere: their search alone is timed, under no name of whole queries."""

import json
from dataclasses import replace

import numpy as np
import pytest

from evaluations import pipeline
from evaluations.datasets import load
from evaluations.latency import search_alone
from evaluations.latency.harness import empty_path
from evaluations.latency.references import References, matched_sum
from evaluations.latency.schedule import Schedule
from evaluations.latency.session import Settings, record, session_gates
from evaluations.latency.throughput import Plan, measure_throughput
from evaluations.latency.track import findings
from evaluations.progress import Progress
from evaluations.sparsity.sweeps import parse_sweeps
from evaluations.systems import Runtime, kind_of
from evaluations.systems.abilities import Built, Timed
from evaluations.systems.parse import parse_system
from tests.evaluations.latency.stand_ins import wait_ms, waiting_path

TEN = 10
QUICK = Settings(schedule=Schedule(block_s=0.0), throughput=None)
PLAN = Plan(closed_s=0.1, open_s=0.1, documents=3, clients=(1,))
DENSE = {"d1": [1.0, 0.0, 2.0], "d2": [0.5, 0.5, 0.0], "d3": [0.0, -1.0, 1.0]}
DENSE_QUERIES = {"q1": [1.0, 0.0, 1.0], "q2": [0.0, 2.0, 0.0]}
SPARSE = {"d1": {"wing": 2.0, "lift": 1.0}, "d2": {"plate": 1.5}, "d3": {"heat": 1.0, "plate": 0.5}}
SPARSE_QUERIES = {"q1": {"wing": 3.0, "swept": 9.0}, "q2": {"plate": 2.0, "heat": 1.0, "lift": 0.0}}
TEXTS = {"q1": "swept wing lift", "q2": "boundary layer heat"}
WHOLE = [
    *(f"query{part}_latency_p50_ms" for part in ("", "_tokenise", "_encode")),
    *("latency_ratio_matched_p50", "latency_ratio_bm25_p50"),
]
LOAD = ["queries_per_second", "open_loop_queries_per_second", "open_loop_latency_p50_ms"]


@pytest.fixture
def folder_of(tmp_path):
    """Writes a folder of vectors, dense where they are lists and sparse where they are objects."""

    def write(documents, queries):
        folder = tmp_path / "vectors"
        folder.mkdir()
        is_dense = isinstance(next(iter(documents.values())), list)
        meta = {"dimensions": 3 if is_dense else 100, "similarity": "dot"}
        (folder / "meta.json").write_text(json.dumps(meta))
        for side, vectors in (("documents", documents), ("queries", queries)):
            if is_dense:
                np.save(folder / f"{side}.npy", np.array(list(vectors.values()), dtype=np.float32))
                (folder / f"{side}.ids.txt").write_text("".join(f"{each}\n" for each in vectors))
            else:
                lines = (json.dumps({"id": key, "vector": vector}) for key, vector in vectors.items())
                (folder / f"{side}.jsonl").write_text("".join(f"{line}\n" for line in lines))
        return folder

    return write


def indexed(folder, texts=TEXTS):
    kind = kind_of("vectors")
    system = kind.load(kind.spec(str(folder)), Runtime("cpu", 1))
    system.choose("tiny", frozenset(DENSE))
    system.index(None, Progress())
    system.name_queries(texts)
    return system


def found_by(system, text):
    path = system.query_path(TEN, 1)
    found = path.search(path.encode(path.tokenise(text)))
    ids = [system.document_ids[row] for row in found.rows]
    return dict(zip(ids, found.scores.tolist(), strict=True))


@pytest.mark.parametrize(
    ("vectors", "form"), [((DENSE, DENSE_QUERIES), "dense"), ((SPARSE, SPARSE_QUERIES), "sparse")]
)
def test_a_query_finds_what_the_run_holds(folder_of, vectors, form):
    system = indexed(folder_of(*vectors))
    run = system.retrieve(TEXTS, TEN, Progress())
    for query_id, text in TEXTS.items():
        ranked = run.lists[query_id]
        expected = dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))
        assert list(found_by(system, text).items()) == list(expected.items())
    path = system.query_path(TEN, 1)
    assert (path.encoder, path.index, path.is_whole) == ("given", form, False)
    assert isinstance(system, Timed)
    assert not isinstance(system, Built)


def test_scores_are_inner_products_by_hand(folder_of):
    system = indexed(folder_of(DENSE, DENSE_QUERIES))
    assert found_by(system, TEXTS["q1"]) == {"d1": 3.0, "d3": 1.0, "d2": 0.5}


def test_sparse_scores_are_inner_products_by_hand(folder_of):
    system = indexed(folder_of(SPARSE, SPARSE_QUERIES))
    assert found_by(system, TEXTS["q2"]) == {"d2": 3.0, "d3": 2.0}  # 2 x 1.5; 2 x 0.5 + 1 x 1


def test_a_query_without_a_vector_finds_nothing(folder_of):
    system = indexed(folder_of(DENSE, DENSE_QUERIES), {**TEXTS, "q9": "nobody sent me"})
    assert found_by(system, "nobody sent me") == {}


def test_of_queries_with_one_text_the_first_vector_counts(folder_of):
    system = indexed(folder_of(DENSE, DENSE_QUERIES), {"q0": "same", "q2": "same", "q1": "same"})
    assert found_by(system, "same") == {"d2": 1.0, "d1": 0.0, "d3": -2.0}  # q2's: q0 has none


@pytest.mark.parametrize("vectors", [(DENSE, DENSE_QUERIES), (SPARSE, SPARSE_QUERIES)])
def test_an_index_built_anew_has_arrays(folder_of, vectors):
    assert sum(array.nbytes for array in indexed(folder_of(*vectors)).build_index(1)) > 0


@pytest.fixture(scope="module")
def session():
    """A search beside a scan; what comes before it takes its time too, and is not the system's."""
    given = replace(waiting_path(encode_ms=0.3, search_ms=0.4), encoder="given", index="dense")
    paths = {"bm25": waiting_path(search_ms=0.1), "scan": waiting_path(search_ms=0.2)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluations.latency.baseline.mini_bm25", lambda: waiting_path(search_ms=0.05))
        mini = load("mini", corpus=False)
        return record(given, mini, QUICK, Progress(), References(paths, matched_sum(given)))


def test_of_a_session_only_the_search_is_published(session):
    found = findings(session, [])
    searches = np.concatenate([block[..., 2].ravel() for block in session.recordings["system"].blocks])
    assert found.metrics["query_search_latency_p50_ms"] == pytest.approx(np.median(searches) / 1e6)
    assert found.metrics["latency_samples"] == 1000
    for name in WHOLE:
        assert found.metrics[name] is None
        assert found.reasons[name] == search_alone.REASON
    assert {name.rpartition("_latency")[0] for name in found.details["intervals"]} == {"query_search"}
    assert found.details["matched_reference"] == "scan search"


def test_the_gate_on_the_ratio_takes_that_of_the_search(session):
    pairs = zip(session.recordings["system"].blocks, session.recordings["scan"].blocks, strict=True)
    by_hand = [np.median(ours[..., 2]) / np.median(theirs[..., 2]) for ours, theirs in pairs]
    assert session.matched_ratio.value == pytest.approx(np.median(by_hand))
    gate = next(gate for gate in session_gates(session, None) if gate.name == "ratio variation")
    assert gate.measured == session.matched_ratio.variation


class Given:
    document_ids = ("d1",)

    def query_path(self, k, threads):
        return replace(empty_path(), encoder="given", search=wait_ms(1.0))

    def build_index(self, threads):
        return (np.zeros(10, dtype=np.float32),)


def test_rates_of_a_search_stand_in_the_details_alone():
    found = measure_throughput(Given(), load("mini"), TEN, PLAN)
    kept = found.details["search_alone"]
    for name in LOAD:
        assert found.metrics[name] is None
        assert found.reasons[name] == search_alone.REASON
        assert kept[name] > 0
    assert kept["queries_per_second"] == found.details["closed_loop"]["1"]
    assert found.metrics["documents_per_second"] is None
    assert found.reasons["documents_per_second"] == "vectors of documents were made elsewhere"
    assert found.metrics["index_resident_bytes"] == 40
    assert found.metrics["index_build_s"] >= 0


@pytest.fixture
def calm(monkeypatch):
    monkeypatch.setattr("evaluations.latency.track.session_gates", lambda *_: [])
    monkeypatch.setattr("evaluations.latency.references.scan_path", lambda *_: waiting_path(search_ms=0.05))


def request_for(folder, out, *tracks, **others):
    spec = parse_system(f"vectors:{folder}")
    return pipeline.Request(spec, out, tracks, Runtime("cpu", 1), latency=QUICK, **others)


def test_it_works_through_the_pipeline(write_dataset, folder_of, calm, tmp_path):
    folder = folder_of(DENSE, {"q1": DENSE_QUERIES["q1"]})
    settings = replace(QUICK, throughput=PLAN)
    request = replace(request_for(folder, tmp_path / "out", "latency"), latency=settings)
    found = pipeline.evaluate(request, load(write_dataset())).tracks["latency"]
    published = {name for name, value in found.metrics.items() if value is not None}
    assert {name for name in published if name.startswith("query_")} == {
        f"query_search_latency_{point}_ms" for point in ("p50", "p95", "mean")
    }
    assert {"index_build_s", "index_resident_bytes", "index_disk_bytes", "peak_memory_bytes"} <= published
    assert published.isdisjoint([*WHOLE, *LOAD, "documents_per_second"])
    assert set(found.reasons) == {name for name, value in found.metrics.items() if value is None}
    assert found.details["queries_without_vector"] == 1
    assert found.details["system"] == {"encoder": "given", "index": "dense", "precision": "fp32"}


def test_points_of_a_sweep_have_no_times(write_dataset, folder_of, calm, tmp_path):
    folder = folder_of(DENSE, DENSE_QUERIES)
    curves = parse_sweeps(["dimensions=2"], "vectors")
    tracks = ("retrieval", "sparsity", "latency")
    report = pipeline.evaluate(
        request_for(folder, tmp_path / "out", *tracks, sweeps=curves), load(write_dataset())
    )
    for curve in report.tracks["sparsity"].details["sweeps"]:
        for point in curve["points"]:
            assert not any("latency" in name or "speedup" in name for name in point["metrics"])


def test_without_a_corpus_latency_is_refused_before_vectors_are_read(write_dataset, tmp_path):
    dataset = load(write_dataset(documents=None))
    folder = tmp_path / "absent"
    with pytest.raises(pipeline.EvaluationError, match=r"DATASET-CORPUS.*leave it out"):
        pipeline.evaluate(request_for(folder, tmp_path / "out", "latency"), dataset)
