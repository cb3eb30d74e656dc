"""Dense search, on the processor and by torch, against a float64 computation of every score."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from evaluations.errors import EvaluationFailed
from evaluations.search import dense, dense_torch
from evaluations.search.dense import DenseIndex
from evaluations.search.dense_torch import TorchDenseIndex
from evaluations.search.found import rounding_bounds
from evaluations.search.order import id_ranks


def by_torch(queries, documents, ranks, k, on_queries_done=lambda _: None):
    index = TorchDenseIndex.from_index(DenseIndex.build(documents, ranks), "cpu")
    return index.search(queries, k, on_queries_done)


ENGINES = [dense.search, by_torch]


@pytest.fixture(params=ENGINES, ids=["processor", "torch"])
def search(request):
    return request.param


@pytest.fixture
def small_blocks(monkeypatch):
    """So that a few documents and queries are many blocks, stripes and passes."""
    for module, name, size in [
        (dense, "DOCUMENT_BLOCK", 61),
        (dense, "QUERY_BLOCK", 4),
        (dense, "STRIPE", 2),
        (dense_torch, "BLOCKS", 2),
        (dense_torch, "QUERY_BLOCK", 3),
        (dense_torch, "PAIRS", 17),
    ]:
        monkeypatch.setattr(module, name, size)


def brute_force(query, documents, ids, k):
    """Every score by exact summation, rounded once to float64 and once to float32; then a plain sort."""
    exact = [
        math.fsum((np.float64(x) * np.float64(y)) for x, y in zip(query, row, strict=True))
        for row in documents
    ]
    scores = np.array(exact).astype(np.float32)
    order = sorted(range(len(ids)), key=lambda i: (scores[i], ids[i].encode()), reverse=True)
    return order[:k], scores[order[:k]]


def assert_equals_brute_force(search, queries, documents, ids, k):
    for query, found in zip(queries, search(queries, documents, id_ranks(ids), k), strict=True):
        rows, scores = brute_force(query, documents, ids, k)
        assert found.rows.tolist() == rows
        assert found.scores.tolist() == scores.tolist()


def test_it_works(search):
    documents = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    found = search(np.array([[2, 1]], dtype=np.float32), documents, id_ranks(["a", "b", "c"]), 2)[0]
    assert found.rows.tolist() == [2, 0]
    assert found.scores.tolist() == [3.0, 2.0]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 40, 499, 600])
@pytest.mark.parametrize("dimensions", [7, 32, 48])
def test_random_vectors_equal_float64(search, dimensions, k):
    generator = np.random.default_rng(k)
    documents = generator.standard_normal((500, dimensions)).astype(np.float32)
    queries = generator.standard_normal((7, dimensions)).astype(np.float32)
    assert_equals_brute_force(search, queries, documents, [f"d{i}" for i in generator.permutation(500)], k)


@pytest.mark.usefixtures("small_blocks")
def test_identical_documents_get_identical_scores_wherever_they_lie(search):
    """Float32 products of equal rows differ by position; the cut then would not be by id."""
    generator = np.random.default_rng(1)
    documents = np.repeat(generator.standard_normal((5, 384)).astype(np.float32), 61, axis=0)
    documents = documents[generator.permutation(len(documents))]
    queries = generator.standard_normal((4, 384)).astype(np.float32)
    ids = [f"d{i}" for i in generator.permutation(len(documents))]
    assert_equals_brute_force(search, queries, documents, ids, 70)


@pytest.mark.usefixtures("small_blocks")
def test_near_ties_at_the_cut_are_decided_by_float64(search):
    """Documents that differ in one last bit: closer together than float32 products can tell."""
    generator = np.random.default_rng(2)
    base = generator.standard_normal(256).astype(np.float32)
    documents = np.tile(base, (300, 1))
    for row in range(300):
        place = generator.integers(256)
        documents[row, place] = np.nextafter(documents[row, place], np.float32(generator.choice([-9, 9])))
    queries = (base + 0.1 * generator.standard_normal((3, 256))).astype(np.float32)
    ids = [f"d{i:03}" for i in generator.permutation(300)]
    assert_equals_brute_force(search, queries, documents, ids, 100)


@pytest.mark.usefixtures("small_blocks")
def test_cancellation_of_large_terms_does_not_fool_the_selection(search):
    generator = np.random.default_rng(3)
    large = (generator.standard_normal((200, 16)) * 1e4).astype(np.float32)
    documents = np.hstack([large, -large, generator.standard_normal((200, 2)).astype(np.float32)])
    queries = np.hstack([np.ones((3, 32)), generator.standard_normal((3, 2))]).astype(np.float32)
    assert_equals_brute_force(search, queries, documents, [f"d{i}" for i in range(200)], 20)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("direction", [1, -1], ids=["ever better", "ever worse"])
def test_documents_in_the_order_of_their_scores_all_below_zero(search, direction):
    documents = np.outer(np.arange(1, 401)[::-direction], np.ones(16)).astype(np.float32)
    queries = -np.ones((2, 16), dtype=np.float32)
    assert_equals_brute_force(search, queries, documents, [f"d{i}" for i in range(400)], 30)


@pytest.mark.usefixtures("small_blocks")
def test_one_very_long_document_widens_the_bound_and_changes_nothing(search):
    generator = np.random.default_rng(5)
    documents = generator.standard_normal((300, 24)).astype(np.float32)
    documents[123] *= 1e6
    queries = generator.standard_normal((3, 24)).astype(np.float32)
    assert_equals_brute_force(search, queries, documents, [f"d{i}" for i in range(300)], 12)


@pytest.mark.parametrize("search", ENGINES)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 30), st.integers(1, 12))
def test_small_integers_with_many_ties_equal_float64(search, seed, dimensions, documents, k):
    generator = np.random.default_rng(seed)
    matrix = generator.integers(-2, 3, (documents, dimensions)).astype(np.float32)
    queries = generator.integers(-2, 3, (3, dimensions)).astype(np.float32)
    assert_equals_brute_force(search, queries, matrix, [f"d{i}" for i in generator.permutation(documents)], k)


def test_the_rounding_bound_holds_for_the_products_that_select():
    generator = np.random.default_rng(4)
    documents = generator.standard_normal((400, 768)).astype(np.float32)
    queries = generator.standard_normal((20, 768)).astype(np.float32)
    norms = np.linalg.norm(documents.astype(np.float64), axis=1)
    bounds = rounding_bounds(np.linalg.norm(queries.astype(np.float64), axis=1), norms.max(), 768)
    final = (queries.astype(np.float64) @ documents.astype(np.float64).T).astype(np.float32)
    assert (np.abs((queries @ documents.T) - final.astype(np.float64)) <= bounds[:, None]).all()


@pytest.mark.parametrize("dimensions", [5, 33, 384])
def test_torch_gives_the_processors_scores_bit_for_bit(dimensions):
    generator = np.random.default_rng(6)
    documents = generator.lognormal(0, 3, (9000, dimensions)).astype(np.float32)
    queries = generator.standard_normal((5, dimensions)).astype(np.float32)
    ranks = generator.permutation(9000)
    for ours, theirs in zip(
        dense.search(queries, documents, ranks, 300), by_torch(queries, documents, ranks, 300), strict=True
    ):
        assert ours.rows.tolist() == theirs.rows.tolist()
        assert ours.scores.tobytes() == theirs.scores.tobytes()


def test_zero_vectors_and_fewer_documents_than_asked_for(search):
    queries, documents = -np.zeros((1, 4), np.float32), np.zeros((3, 4), np.float32)
    found = search(queries, documents, id_ranks(["a", "b", "c"]), 10)[0]
    assert found.rows.tolist() == [2, 1, 0]
    assert [str(score) for score in found.scores] == ["0.0", "0.0", "0.0"]


@pytest.mark.parametrize(("queries", "documents", "k"), [(0, 3, 2), (2, 0, 2), (2, 3, 0)])
def test_nothing_to_find_is_no_error(search, queries, documents, k):
    ids = ["a", "b", "c"][:documents]
    found = search(np.ones((queries, 4), np.float32), np.ones((documents, 4), np.float32), id_ranks(ids), k)
    assert [len(each.rows) for each in found] == [0] * queries


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("side", ["both", "documents"])
def test_vectors_that_no_score_can_come_of_are_a_failure(search, side, value):
    queries, documents = np.full((2, 3), 1e9, dtype=np.float32), np.ones((2, 3), dtype=np.float32)
    documents[1, 2] = value
    with pytest.raises(EvaluationFailed, match="VECTORS"):
        search(documents if side == "both" else queries, documents, id_ranks(["a", "b"]), 1)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("layout", ["mapped", "sliced"])
def test_documents_may_be_mapped_from_a_file_or_a_part_of_a_matrix(search, layout, tmp_path):
    generator = np.random.default_rng(7)
    wide = generator.standard_normal((200, 32)).astype(np.float32)
    np.save(tmp_path / "documents.npy", wide[:, :16])
    mapped = np.load(tmp_path / "documents.npy", mmap_mode="r")
    documents = mapped if layout == "mapped" else wide[:, :16]
    queries = generator.standard_normal((5, 32)).astype(np.float32)[:, ::2]
    assert_equals_brute_force(search, queries, documents, [f"d{i}" for i in range(200)], 15)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("pass_bytes", [1, 3000, 1 << 27])
def test_threads_and_passes_change_nothing(pass_bytes, monkeypatch):
    monkeypatch.setattr(dense, "PASS_BYTES", pass_bytes)
    generator = np.random.default_rng(8)
    documents = generator.integers(-2, 3, (700, 12)).astype(np.float32)
    queries = generator.integers(-2, 3, (23, 12)).astype(np.float32)
    index = DenseIndex.build(documents, generator.permutation(700))
    one, many = index.search(queries, 50, threads=1), index.search(queries, 50, threads=5)
    assert [each.rows.tolist() for each in one] == [each.rows.tolist() for each in many]
    assert [each.scores.tolist() for each in one] == [each.scores.tolist() for each in many]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("documents", "k"), [(500, 10), (0, 10), (500, 0)])
def test_progress_is_told_as_it_comes_and_ends_at_the_number_of_queries(search, documents, k):
    told = []
    matrix = np.ones((documents, 4), dtype=np.float32)
    search(np.ones((20, 4), dtype=np.float32), matrix, np.arange(documents), k, told.append)
    assert sum(told) == 20
    assert not (documents and k) or len(told) > 3


def test_the_settings_of_the_libraries_are_put_back(search):
    import torch

    before = [(each["filepath"], each["num_threads"]) for each in threadpool_info()]
    torch.set_float32_matmul_precision("medium")
    try:
        search(np.ones((2, 4), np.float32), np.ones((9, 4), np.float32), np.arange(9), 3)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert [(each["filepath"], each["num_threads"]) for each in threadpool_info()] == before
