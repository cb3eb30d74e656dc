"""MaxSim search against a float64 loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.errors import EvaluationFailed
from evaluations.search import maxsim
from evaluations.search.maxsim import TokenVectors, search
from evaluations.search.order import id_ranks


def texts(*matrices, dimensions=2):
    """Several vectors a text, from one matrix a text."""
    rows = [np.asarray(matrix, dtype=np.float32).reshape(-1, dimensions) for matrix in matrices]
    vectors = np.concatenate(rows) if rows else np.empty((0, dimensions), dtype=np.float32)
    return TokenVectors(vectors, np.cumsum([0, *map(len, rows)]))


def by_loop(query, documents, ids, k, *, mean=False):
    """Every product in float64, every document in the one order."""
    found = []
    for key, document in zip(ids, documents, strict=True):
        if len(query) and len(document):
            wide = [row.astype(np.float64) for row in document]
            best = [max((row.astype(np.float64) * other).sum() for other in wide) for row in query]
            total = 0.0
            for each in best:
                total += each
            found.append((np.float32(total / (len(best) if mean else 1)), key))
    return sorted(found, reverse=True)[:k]


def as_pairs(found, ids):
    return [(score, ids[row]) for row, score in zip(found.rows, found.scores, strict=True)]


def random_texts(random, count, dimensions, longest):
    sizes = random.integers(0, longest, count)
    return [random.standard_normal((size, dimensions)).astype(np.float32) for size in sizes]


def test_it_works_by_hand():
    query = texts([[1, 0], [0, 1]])
    documents = texts([[3, 0], [0, 1]], [[1, 1]], [[-1, -2], [-3, 0]])
    [found] = search(query, documents, id_ranks(["a", "b", "c"]), 10)
    assert as_pairs(found, "abc") == [(4.0, "a"), (2.0, "b"), (-1.0, "c")]  # c: -1 and 0


def test_the_mean_divides_by_the_querys_vectors():
    [found] = search(texts([[1, 0], [0, 1]]), texts([[3, 0], [0, 1]]), id_ranks(["a"]), 10, mean=True)
    assert found.scores.tolist() == [2.0]


def test_a_text_without_vectors_finds_nothing_and_is_not_found():
    found = search(texts([], [[1, 0]], []), texts([], [[1, 0]], []), id_ranks(["a", "b", "c"]), 10)
    assert [as_pairs(each, "abc") for each in found] == [[], [(1.0, "b")], []]


@pytest.mark.parametrize("k", [0, 1, 5])
def test_no_documents_or_no_queries_are_no_failure(k):
    assert [len(each.rows) for each in search(texts([[1, 0]]), texts(), id_ranks([]), k)] == [0]
    assert search(texts(), texts([[1, 0]]), id_ranks(["a"]), k) == []


def test_ties_go_to_the_last_id_also_at_the_cut():
    documents = texts(*[[[1, 0], [0.5, 0.5]]] * 5)
    [found] = search(texts([[1, 0]]), documents, id_ranks(["b", "e", "a", "d", "c"]), 3)
    assert [["b", "e", "a", "d", "c"][row] for row in found.rows] == ["e", "d", "c"]


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("k", [1, 7, 1000])
def test_scores_and_order_are_those_of_a_float64_loop_however_it_is_blocked(monkeypatch, k, mean):
    random = np.random.default_rng(k)
    documents, queries = random_texts(random, 120, 24, 12), random_texts(random, 15, 24, 8)
    ids = [f"d{number}" for number in random.permutation(120)]
    monkeypatch.setattr(maxsim, "DOCUMENT_VECTORS", 50)
    monkeypatch.setattr(maxsim, "QUERY_VECTORS", 16)
    monkeypatch.setattr(maxsim, "PAIRS", 37)
    done = []
    found = search(
        texts(*queries, dimensions=24), texts(*documents, dimensions=24), id_ranks(ids), k,
        mean=mean, on_queries_done=done.append,
    )  # fmt: skip
    assert [as_pairs(each, ids) for each in found] == [
        by_loop(query, documents, ids, k, mean=mean) for query in queries
    ]
    assert sum(done) == 15


def test_identical_documents_have_identical_scores_wherever_they_are():
    random = np.random.default_rng(0)
    same = random.standard_normal((9, 96)).astype(np.float32)
    documents = [
        same if number % 3 == 0 else each for number, each in enumerate(random_texts(random, 300, 96, 40))
    ]
    [found] = search(
        texts(random.standard_normal((20, 96)), dimensions=96),
        texts(*documents, dimensions=96), id_ranks([f"{number:03}" for number in range(300)]), 300,
    )  # fmt: skip
    scores = dict(zip(found.rows.tolist(), found.scores.tolist(), strict=True))
    assert len({scores[row] for row in range(0, 300, 3)}) == 1


def test_near_ties_at_the_cut_are_decided_in_float64():
    """Documents that float32 cannot tell apart: the same numbers in float32 products, not in float64."""
    random = np.random.default_rng(1)
    base = random.standard_normal((4, 64)).astype(np.float32)
    ways = [random.choice([-np.inf, np.inf], base.shape).astype(np.float32) for _ in range(200)]
    documents = [np.nextafter(base, way) for way in ways]
    assert documents[0].dtype == np.float32
    assert (documents[0] != documents[1]).any()
    query = random.standard_normal((6, 64)).astype(np.float32)
    ids = [f"{number:03}" for number in range(200)]
    [found] = search(texts(query, dimensions=64), texts(*documents, dimensions=64), id_ranks(ids), 10)
    assert as_pairs(found, ids) == by_loop(query, documents, ids, 10)


small = st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), max_size=4)


@settings(deadline=None, max_examples=60)
@given(st.lists(small, min_size=1, max_size=4), st.lists(small, min_size=1, max_size=8), st.integers(1, 9))
def test_whole_numbers_full_of_ties_are_ordered_like_a_loop(queries, documents, k):
    ids = [str(number) for number in range(len(documents))]
    found = search(texts(*queries, dimensions=3), texts(*documents, dimensions=3), id_ranks(ids), k)
    arrays = [np.array(document, dtype=np.float32).reshape(-1, 3) for document in documents]
    for query, each in zip(queries, found, strict=True):
        expected = by_loop(np.array(query, dtype=np.float32).reshape(-1, 3), arrays, ids, k)
        assert as_pairs(each, ids) == expected


@pytest.mark.parametrize("spoilt", ["query", "document"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_no_score_can_be_made_of_fails_by_name(spoilt, value):
    sides = {"query": texts([[1, 1e10]]), "document": texts([[1, 1]])}
    sides[spoilt] = texts([[1, value]])
    with pytest.raises(EvaluationFailed, match="VECTORS"):
        search(
            sides["query"], texts([[1, 1e10]]) if spoilt == "query" else sides["document"], id_ranks(["a"]), 1
        )
