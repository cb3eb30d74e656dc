"""Vectors encoded elsewhere: from a folder to a run, with scores by float64 arithmetic in the test."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix, save_npz

from evaluations import pipeline
from evaluations.datasets import load
from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.systems.parse import parse_system
from evaluations.systems.vectors import KIND, Vectors

SHARED = Path(os.environ.get("SPARSEBOARD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
DENSE = {"d1": [1.0, 0.0, 2.0], "d2": [0.5, 0.5, 0.0], "d3": [0.0, -1.0, 1.0]}
DENSE_QUERIES = {"q1": [1.0, 0.0, 1.0], "q2": [0.0, 2.0, 0.0]}
SPARSE = {"d1": {"wing": 2.0, "lift": 1.0}, "d2": {"plate": 1.5}, "d3": {"heat": 1.0, "plate": 0.5}}
SPARSE_QUERIES = {"q1": {"wing": 3.0, "swept": 9.0}, "q2": {"plate": 2.0, "heat": 1.0}}


class FolderWriter:
    """Writes folders of vectors, one form a method; returns the folder."""

    def __init__(self, root):
        self.root = root

    def meta(self, name="vectors", **facts):
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.json").write_text(json.dumps({"dimensions": 3, "similarity": "dot"} | facts))
        return folder

    def ids(self, folder, side, ids):
        (folder / f"{side}.ids.txt").write_text("".join(f"{each}\n" for each in ids))

    def npy(self, folder, side, vectors, dtype="<f4"):
        np.save(folder / f"{side}.npy", np.array(list(vectors.values()), dtype=dtype))
        self.ids(folder, side, vectors)

    def jsonl(self, folder, side, vectors, *, zipped=False):
        lines = [json.dumps({"id": key, "vector": vector}) for key, vector in vectors.items()]
        content = "".join(f"{line}\n" for line in lines).encode()
        path = folder / f"{side}.jsonl{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.fixture
def write(tmp_path):
    return FolderWriter(tmp_path)


@pytest.fixture
def dense_folder(write):
    folder = write.meta()
    write.npy(folder, "documents", DENSE)
    write.npy(folder, "queries", DENSE_QUERIES)
    return folder


@pytest.fixture
def sparse_folder(write):
    folder = write.meta(dimensions=100)
    write.jsonl(folder, "documents", SPARSE)
    write.jsonl(folder, "queries", SPARSE_QUERIES)
    return folder


def retrieved(folder, queries=("q1", "q2"), corpus=("d1", "d2", "d3"), depth=10):
    system = Vectors(folder)
    system.choose("tiny", corpus)
    system.index(None, Progress())
    return system, system.retrieve(dict.fromkeys(queries, ""), depth, Progress())


def scores(folder, query="q1", **settings):
    _, run = retrieved(folder, **settings)
    ranked = run.lists[query]
    return dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))


def refusal(folder, **settings):
    with pytest.raises(EvaluationError) as caught:
        retrieved(folder, **settings)
    return str(caught.value)


def test_it_works_through_the_pipeline(write_dataset, dense_folder, tmp_path):
    dataset = load(write_dataset(), corpus=False)
    request = pipeline.Request(spec=parse_system(f"vectors:{dense_folder}"), out=tmp_path / "out")
    report = pipeline.evaluate(request, dataset)
    # q1: d1 first, which is relevant; q2: d2 (grade 1) scores 1, d1 scores 0, d3 (grade 2) scores -2
    ideal, found = 2 + 1 / np.log2(3), 1 + 2 / np.log2(4)
    assert report.tracks["retrieval"].metrics["nDCG@10"] == pytest.approx((1 + found / ideal) / 2)
    assert report.tracks["sparsity"].metrics["index_bytes"] == 3 * 3 * 4
    assert report.system["family"] == "vectors"
    assert set(report.system["files"]) == {
        *("meta.json", "documents.npy", "documents.ids.txt", "queries.npy", "queries.ids.txt")
    }


def test_dense_scores_are_inner_products(dense_folder):
    assert scores(dense_folder) == {"d1": 3.0, "d3": 1.0, "d2": 0.5}
    assert scores(dense_folder, "q2") == {"d2": 1.0, "d1": 0.0, "d3": -2.0}


def test_cosine_divides_by_both_lengths(write, dense_folder):
    write.meta(similarity="cosine")
    expected = {"d1": 3 / np.sqrt(5 * 2), "d3": 1 / 2, "d2": 0.5 / np.sqrt(0.5 * 2)}
    assert scores(dense_folder) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<f8", ">f4", "|i1"])
def test_numbers_may_be_stored_in_other_types(write, dtype):
    whole = {"d1": [1, 0, 2], "d2": [3, 3, 0]}
    folder = write.meta()
    write.npy(folder, "documents", whole, dtype)
    write.npy(folder, "queries", {"q1": [1, 0, 1]}, dtype)
    assert scores(folder, queries=["q1"], corpus=["d1", "d2"]) == {"d2": 3.0, "d1": 3.0}


def test_a_matrix_in_fortran_order_is_read_by_rows(write, dense_folder):
    matrix = np.asfortranarray(np.array(list(DENSE.values()), dtype=np.float32))
    np.save(dense_folder / "documents.npy", matrix)
    assert scores(dense_folder) == {"d1": 3.0, "d3": 1.0, "d2": 0.5}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_safetensors_are_read_like_npy(dense_folder, dtype):
    import torch
    from safetensors.torch import save_file as save_torch

    (dense_folder / "documents.npy").unlink()
    tensor = torch.tensor(list(DENSE.values()), dtype=getattr(torch, dtype))
    save_torch({"embeddings": tensor}, dense_folder / "documents.safetensors")
    assert scores(dense_folder) == {"d1": 3.0, "d3": 1.0, "d2": 0.5}


def test_sparse_lines_are_matched_by_token(sparse_folder):
    assert scores(sparse_folder) == {"d1": 6.0}  # d2 and d3 share nothing with the query
    assert scores(sparse_folder, "q2") == {"d2": 3.0, "d3": 2.0}


def test_sparse_lines_may_be_zipped_and_have_what_anserini_adds(write, sparse_folder):
    (sparse_folder / "documents.jsonl").unlink()
    line = json.dumps({"id": "d1", "contents": "A wing.", "vector": {"wing": 2, "zero": 0}}) + "\r\n\n"
    (sparse_folder / "documents.jsonl.gz").write_bytes(gzip.compress(("\ufeff" + line).encode()))
    assert scores(sparse_folder, corpus=["d1"]) == {"d1": 6.0}


@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_csr_matrix_is_matched_by_column(write, kind, compressed):
    folder = write.meta(dimensions=4)
    documents = np.array([[2.0, 1, 0, 0], [0, 0, 1.5, 0], [0, 0, 0.5, 1]])
    save_npz(folder / "documents.npz", kind(documents), compressed=compressed)
    save_npz(folder / "queries.npz", kind(np.array([[3.0, 0, 0, 0], [0, 0, 2, 1]])), compressed=compressed)
    write.ids(folder, "documents", DENSE)
    write.ids(folder, "queries", DENSE_QUERIES)
    assert scores(folder) == {"d1": 6.0}
    assert scores(folder, "q2") == {"d2": 3.0, "d3": 2.0}


def test_sparse_cosine_divides_by_both_lengths(write, sparse_folder):
    write.meta(dimensions=100, similarity="cosine")
    found = scores(sparse_folder, "q2")
    assert found["d2"] == pytest.approx(2 / np.sqrt(5), rel=1e-6)
    assert found["d3"] == pytest.approx(2 / np.sqrt(5 * 1.25), rel=1e-6)


def test_ties_go_to_the_last_id_and_the_cut_knows_it(write):
    folder = write.meta()
    write.npy(folder, "documents", {"b": [1, 0, 0], "c": [1, 0, 0], "a": [1, 0, 0]})
    write.npy(folder, "queries", {"q1": [1, 0, 0]})
    _, run = retrieved(folder, ["q1"], ["a", "b", "c"], depth=2)
    assert list(run.lists["q1"].document_ids) == ["c", "b"]


def test_documents_of_another_corpus_are_kept_out_before_the_cut(write, dense_folder):
    write.npy(dense_folder, "documents", {"other": [9, 9, 9], **DENSE})
    _, run = retrieved(dense_folder, depth=1)
    assert list(run.lists["q1"].document_ids) == ["d1"]
    assert run.warnings == (
        "1 vectors of documents.ids.txt are not of the documents of tiny and are ignored, such as other",
    )


def test_documents_without_a_vector_are_counted_and_cannot_be_found(sparse_folder):
    _, run = retrieved(sparse_folder, corpus=["d0", "d1", "d2", "d3", "d4"])
    assert run.warnings == ("2 of 5 documents have no vector and cannot be found, such as d0",)


def test_queries_that_are_not_judged_are_ignored_and_judged_ones_without_vector_find_nothing(sparse_folder):
    system, run = retrieved(sparse_folder, queries=["q1", "q9"])
    assert list(run.lists) == ["q1"]
    assert [warning.split(",")[0] for warning in run.warnings] == [
        "1 vectors of queries.jsonl are not of the queries of tiny and are ignored",
        "1 of 2 queries have no vector and find nothing",
    ]
    assert system.sparsity().metrics["query_active_dims_mean"] == 2  # q1's alone


def test_where_the_corpus_is_not_there_every_document_counts(dense_folder):
    assert set(scores(dense_folder, corpus=None)) == {"d1", "d2", "d3"}


def test_vectors_of_another_dataset_are_refused(dense_folder):
    assert refusal(dense_folder, corpus=["x"]).startswith(
        "error[VECTORS-DOCUMENTS]: documents.ids.txt: none of its 3 ids, such as d1, is of the documents of"
        " tiny; check"
    )
    assert refusal(dense_folder, queries=["x"]).startswith("error[VECTORS-QUERIES]: queries.ids.txt: none")


def test_the_sub_folder_of_the_dataset_goes_before_the_folder(write, tmp_path):
    for name, weight in (("all", 1), ("all/tiny", 2), ("all/other", 3)):
        folder = write.meta(name)
        write.npy(folder, "documents", {"d1": [weight, 0, 0]})
        write.npy(folder, "queries", {"q1": [1, 0, 0]})
    assert scores(tmp_path / "all", queries=["q1"], corpus=["d1"]) == {"d1": 2.0}


def test_a_folder_without_this_dataset_says_which_it_has(write, tmp_path):
    write.meta("all/scifact")
    assert refusal(tmp_path / "all") == (
        "error[VECTORS-FOLDER]: all has no meta.json, nor has its sub-folder tiny; it has: scifact; write one"
        " beside documents and queries"
    )


def test_sparsity_counts_what_is_stored(sparse_folder):
    system, _ = retrieved(sparse_folder)
    found = system.sparsity()
    assert found.metrics["document_active_dims_mean"] == 5 / 3
    assert found.metrics["query_active_dims_mean"] == 2
    assert found.metrics["document_sparsity_ratio"] == pytest.approx(1 - 5 / 300)
    assert found.metrics["postings_per_query_mean"] == (1 + 3) / 2  # wing: 1; plate: 2 and heat: 1
    assert found.metrics["flops"] == pytest.approx(found.metrics["postings_per_query_mean"] / 3)
    assert found.metrics["parameters"] is None
    assert found.details["vocabulary"] == 100
    assert found.metrics["index_bytes"] > 5 * 6


def test_stored_zeros_are_no_dimensions(write, sparse_folder):
    with_zeros = {key: {**vector, "zero": 0} for key, vector in SPARSE.items()}
    write.jsonl(sparse_folder, "documents", with_zeros)
    write.jsonl(sparse_folder, "queries", {"q1": {"zero": 4.0, "wing": 1.0, "heat": 0.0}})
    system, run = retrieved(sparse_folder, queries=["q1"])
    assert list(run.lists["q1"].document_ids) == ["d1"]
    assert system.sparsity().metrics["document_active_dims_mean"] == 5 / 3
    assert system.sparsity().metrics["query_active_dims_mean"] == 2


def test_what_the_encoder_was_is_kept(write, dense_folder):
    write.meta(encoder="ACME embed 3", precision="int8")
    system, _ = retrieved(dense_folder)
    assert (system.provenance()["encoder"], system.provenance()["precision"]) == ("ACME embed 3", "int8")


def test_the_revision_changes_with_any_file_and_a_wrong_one_is_refused(dense_folder):
    spec = parse_system(f"vectors:{dense_folder}")
    pinned = KIND.pin(spec).revision
    assert pinned.startswith("sha256:")
    (dense_folder / "queries.ids.txt").write_text("q2\nq1\n")
    assert KIND.pin(spec).revision != pinned
    with pytest.raises(EvaluationError, match="REVISION-MISMATCH"):
        KIND.pin(KIND.spec(str(dense_folder), "sha256:0123456789abcdef"))


def test_inspecting_says_what_is_there(sparse_folder):
    found = KIND.inspect(parse_system(f"vectors:{sparse_folder}"))
    assert (found["documents"], found["dimensions"], found["similarity"]) == ("documents.jsonl", 100, "dot")


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["splade-pp-ed", "splade-v3", "unicoil.0shot"])
def test_real_learned_sparse_queries_score_as_float64_arithmetic_does(write, name):
    path = SHARED / "learned-sparse" / f"dl19-passage.{name}.jsonl"
    if not path.is_file():
        pytest.skip(f"{path.name} is absent")
    queries = {record["id"]: record["vector"] for record in map(json.loads, path.read_text().splitlines())}
    tokens = sorted({token for vector in queries.values() for token in vector})
    random = np.random.default_rng(0)
    documents = {
        f"d{number}": {
            token: round(float(random.gamma(2.0)), 3) for token in random.choice(tokens, 40, False)
        }
        for number in range(400)
    }
    folder = write.meta(dimensions=30_522)
    write.jsonl(folder, "documents", documents, zipped=True)
    (folder / "queries.jsonl").write_bytes(path.read_bytes())
    _, run = retrieved(folder, list(queries), list(documents), depth=100)
    for query, vector in queries.items():
        expected = {}
        for document, weights in documents.items():
            shared = sorted(set(vector) & set(weights))
            if shared:
                stored = (np.float64(np.float32(weights[token])) * vector[token] for token in shared)
                expected[document] = np.float32(sum(stored))
        best = sorted(expected, key=lambda document: (expected[document], document), reverse=True)[:100]
        ranked = run.lists[query]
        assert list(ranked.document_ids) == best
        assert ranked.scores.tolist() == [expected[each] for each in best]
