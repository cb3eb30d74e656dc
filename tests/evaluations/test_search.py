"""The one order, and dense search against a float64 computation of every score."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.errors import EvaluationFailed
from evaluations.search import dense
from evaluations.search.order import id_ranks, top_k


def brute_force(query, documents, ids, k):
    """Every score by exact summation, rounded once to float64 and once to float32; then a plain sort."""
    exact = [
        math.fsum((np.float64(x) * np.float64(y)) for x, y in zip(query, row, strict=True))
        for row in documents
    ]
    scores = np.array(exact).astype(np.float32)
    order = sorted(range(len(ids)), key=lambda i: (scores[i], ids[i].encode()), reverse=True)
    return order[:k], scores[order[:k]]


def assert_equals_brute_force(queries, documents, ids, k):
    for query, found in zip(queries, dense.search(queries, documents, id_ranks(ids), k), strict=True):
        rows, scores = brute_force(query, documents, ids, k)
        assert found.rows.tolist() == rows
        assert found.scores.tolist() == scores.tolist()


def test_ids_are_ranked_by_their_utf_8_bytes():
    ids = ["z", "é", "ｚ", "𝄞", "a", "10", "9"]
    ranks = id_ranks(ids)
    assert sorted(ids, key=lambda each: ranks[ids.index(each)]) == sorted(ids, key=str.encode)


@given(st.lists(st.text(max_size=6), unique=True, max_size=12))
def test_the_order_of_strings_is_the_order_of_their_bytes(ids):
    ids = [each for each in ids if each.isprintable()]
    assert [ids[i] for i in np.argsort(id_ranks(ids))] == sorted(ids, key=str.encode)


@given(st.lists(st.integers(-3, 3), max_size=40), st.integers(0, 45))
def test_top_k_equals_a_plain_sort_with_many_ties(values, k):
    scores = np.array(values, dtype=np.float32)
    ids = [f"d{i * 7919 % 1000}" for i in range(len(values))]
    expected = sorted(range(len(values)), key=lambda i: (scores[i], ids[i]), reverse=True)[:k]
    assert top_k(scores, id_ranks(ids), k).tolist() == expected


def test_the_cut_keeps_the_tied_documents_with_the_last_ids():
    assert top_k(np.zeros(4, dtype=np.float32), id_ranks(["b", "d", "a", "c"]), 2).tolist() == [1, 3]


def test_search_works():
    documents = np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    found = dense.search(np.array([[2, 1]], dtype=np.float32), documents, id_ranks(["a", "b", "c"]), 2)[0]
    assert found.rows.tolist() == [2, 0]
    assert found.scores.tolist() == [3.0, 2.0]


@pytest.mark.parametrize("seed", range(3))
def test_random_vectors_equal_float64(seed, monkeypatch):
    monkeypatch.setattr(dense, "DOCUMENT_BLOCK", 97)
    monkeypatch.setattr(dense, "QUERY_BLOCK", 3)
    generator = np.random.default_rng(seed)
    documents = generator.standard_normal((500, 48)).astype(np.float32)
    queries = generator.standard_normal((7, 48)).astype(np.float32)
    assert_equals_brute_force(queries, documents, [f"d{i}" for i in generator.permutation(500)], 40)


def test_identical_documents_get_identical_scores_wherever_they_lie(monkeypatch):
    """Float32 products of equal rows differ by position; the cut then would not be by id."""
    monkeypatch.setattr(dense, "DOCUMENT_BLOCK", 64)
    generator = np.random.default_rng(1)
    documents = np.repeat(generator.standard_normal((5, 384)).astype(np.float32), 61, axis=0)
    documents = documents[generator.permutation(len(documents))]
    queries = generator.standard_normal((4, 384)).astype(np.float32)
    ids = [f"d{i}" for i in generator.permutation(len(documents))]
    assert_equals_brute_force(queries, documents, ids, 70)


def test_near_ties_at_the_cut_are_decided_by_float64(monkeypatch):
    """Documents that differ in one last bit: closer together than float32 products can tell."""
    monkeypatch.setattr(dense, "DOCUMENT_BLOCK", 50)
    generator = np.random.default_rng(2)
    base = generator.standard_normal(256).astype(np.float32)
    documents = np.tile(base, (300, 1))
    for row in range(300):
        place = generator.integers(256)
        documents[row, place] = np.nextafter(documents[row, place], np.float32(generator.choice([-9, 9])))
    queries = (base + 0.1 * generator.standard_normal((3, 256))).astype(np.float32)
    assert_equals_brute_force(queries, documents, [f"d{i:03}" for i in generator.permutation(300)], 100)


def test_cancellation_of_large_terms_does_not_fool_the_selection(monkeypatch):
    monkeypatch.setattr(dense, "DOCUMENT_BLOCK", 32)
    generator = np.random.default_rng(3)
    large = (generator.standard_normal((200, 16)) * 1e4).astype(np.float32)
    documents = np.hstack([large, -large, generator.standard_normal((200, 2)).astype(np.float32)])
    queries = np.hstack([np.ones((3, 32)), generator.standard_normal((3, 2))]).astype(np.float32)
    assert_equals_brute_force(queries, documents, [f"d{i}" for i in range(200)], 20)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 30), st.integers(1, 12))
def test_small_integers_with_many_ties_equal_float64(seed, dimensions, documents, k):
    generator = np.random.default_rng(seed)
    matrix = generator.integers(-2, 3, (documents, dimensions)).astype(np.float32)
    queries = generator.integers(-2, 3, (3, dimensions)).astype(np.float32)
    assert_equals_brute_force(queries, matrix, [f"d{i}" for i in generator.permutation(documents)], k)


def test_the_rounding_bound_holds_for_the_products_that_select():
    generator = np.random.default_rng(4)
    documents = generator.standard_normal((400, 768)).astype(np.float32)
    queries = generator.standard_normal((20, 768)).astype(np.float32)
    norms = np.linalg.norm(documents.astype(np.float64), axis=1)
    bounds = dense.rounding_bounds(np.linalg.norm(queries.astype(np.float64), axis=1), norms.max(), 768)
    final = np.array([dense.exact_scores(query, documents) for query in queries], dtype=np.float64)
    assert (np.abs((queries @ documents.T) - final) <= bounds[:, None]).all()


def test_zero_vectors_and_fewer_documents_than_asked_for():
    found = dense.search(
        np.zeros((1, 4), np.float32), np.zeros((3, 4), np.float32), id_ranks(["a", "b", "c"]), 10
    )[0]
    assert found.rows.tolist() == [2, 1, 0]
    assert found.scores.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_vectors_that_no_score_can_come_of_are_a_failure(value):
    vectors = np.full((2, 3), value, dtype=np.float32)
    with pytest.raises(EvaluationFailed, match="VECTORS"):
        dense.search(vectors, vectors, id_ranks(["a", "b"]), 1)
