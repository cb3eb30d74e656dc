"""Sparse search against a float64 computation of every score, on the processor and on torch."""

import os
import subprocess
import sys
import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array

from evaluations.errors import EvaluationFailed
from evaluations.search import kernels, sparse
from evaluations.search.order import id_ranks
from evaluations.search.sparse import IndexBuilder, SparseIndex
from evaluations.search.sparse_torch import TorchSparseIndex


def matrix(rows, dimensions):
    """CSR of [{term: weight}], stored as given: zeros stay, terms need not ascend."""
    terms = [term for row in rows for term in row]
    weights = [weight for row in rows for weight in row.values()]
    offsets = np.cumsum([0] + [len(row) for row in rows])
    return csr_array(
        (np.array(weights, dtype=np.float32), np.array(terms, dtype=np.int32), offsets),
        (len(rows), dimensions),
    )


def names(count):
    """Ids whose order is not the order of the corpus."""
    return [f"d{i * 7919 % 10007}" for i in range(count)]


def brute_force(query, documents, ids, k):
    """[(document, score)] by Python's own float64, term after term, then one rounding and a plain sort."""
    results = []
    for row, document in enumerate(documents):
        shared = [
            t for t in sorted(query) if np.float32(query[t]) != 0 and np.float32(document.get(t, 0)) != 0
        ]
        if shared:
            total = sum(float(np.float32(query[t])) * float(np.float32(document[t])) for t in shared)
            results.append((row, np.float32(total)))
    results.sort(key=lambda result: (result[1], ids[result[0]].encode()), reverse=True)
    return results[:k]


def pairs(found):
    return list(zip(found.rows.tolist(), found.scores.tolist(), strict=True))


def assert_equals_brute_force(queries, documents, dimensions, k, segment_size=sparse.SEGMENT):
    ids = names(len(documents))
    expected = [
        [(row, float(score)) for row, score in brute_force(query, documents, ids, k)] for query in queries
    ]
    index = SparseIndex.build(matrix(documents, dimensions), id_ranks(ids), segment_size=segment_size)
    asked = matrix(queries, dimensions)
    assert [pairs(found) for found in index.search(asked, k)] == expected
    assert [pairs(found) for found in TorchSparseIndex.from_index(index, "cpu").search(asked, k)] == expected


def vectors(weights, dimensions=6, most=12):
    return st.lists(
        st.dictionaries(st.integers(0, dimensions - 1), weights, max_size=dimensions),
        min_size=1,
        max_size=most,
    )


few_values = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0])
any_sign = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
any_float = st.floats(-(2.0**50), 2.0**50, width=32)
# Around 1, one unit in the last place apart, and sums that float32 cannot tell from each other.
near_ties = st.sampled_from(
    [np.float32(1) + np.float32(i) * np.float32(2**-23) for i in range(-3, 4)] + [2.0**-24, 2.0**-30]
)
segment_sizes = st.sampled_from([1, 2, 5, sparse.SEGMENT])


def test_search_works():
    documents = matrix([{0: 1.0}, {1: 1.0}, {0: 1.0, 1: 1.0}], 2)
    index = SparseIndex.build(documents, id_ranks(["a", "b", "c"]))
    found = index.search(matrix([{0: 2.0, 1: 1.0}], 2), 2)[0]
    assert pairs(found) == [(2, 3.0), (0, 2.0)]
    assert (found.rows.dtype, found.scores.dtype) == (np.int64, np.float32)


@settings(deadline=None, max_examples=60)
@given(vectors(few_values, most=4), vectors(few_values), st.integers(1, 14), segment_sizes)
def test_ties_are_cut_and_ordered_by_id_as_in_a_brute_force(queries, documents, k, segment_size):
    assert_equals_brute_force(queries, documents, 6, k, segment_size)


@settings(deadline=None, max_examples=60)
@given(vectors(any_sign, most=4), vectors(any_sign), st.integers(1, 14), segment_sizes)
def test_negative_weights_are_searched_exactly(queries, documents, k, segment_size):
    assert_equals_brute_force(queries, documents, 6, k, segment_size)


@settings(deadline=None, max_examples=60)
@given(vectors(any_float, most=4), vectors(any_float), st.integers(1, 14), segment_sizes)
def test_weights_of_any_size_are_added_in_float64_and_rounded_once(queries, documents, k, segment_size):
    assert_equals_brute_force(queries, documents, 6, k, segment_size)


@settings(deadline=None, max_examples=60)
@given(vectors(near_ties, most=4), vectors(near_ties), st.integers(1, 4), segment_sizes)
def test_near_ties_at_the_cut_are_decided_as_in_a_brute_force(queries, documents, k, segment_size):
    assert_equals_brute_force(queries, documents, 6, k, segment_size)


@settings(deadline=None, max_examples=60)
@given(vectors(any_sign, dimensions=1, most=3), vectors(any_sign, dimensions=1), st.integers(1, 14))
def test_a_vocabulary_of_one_term_is_searched(queries, documents, k):
    assert_equals_brute_force(queries, documents, 1, k)


@settings(deadline=None, max_examples=60)
@given(vectors(any_sign, most=9), st.integers(0, 3), st.integers(1, 4))
def test_a_corpus_in_blocks_gives_the_index_of_the_whole(documents, block_size, segment_size):
    whole = matrix(documents, 6)
    ranks = id_ranks(names(len(documents)))
    expected = SparseIndex.build(whole, ranks, segment_size=segment_size)
    builder = IndexBuilder(6, segment_size=segment_size)
    for start in range(0, len(documents), block_size + 1):
        builder.add(whole[start : start + block_size + 1])
    index = builder.finish(ranks)
    for name in ("offsets", "documents", "impacts", "ranks", "rows"):
        assert getattr(index, name).tolist() == getattr(expected, name).tolist()


def large_case(seed, documents=5000, dimensions=300, terms=30, queries=20):
    """Whole numbers, so that float64 sums are exact in any order and scipy's product is the truth."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 9, (documents, dimensions)) * (
        rng.random((documents, dimensions)) < terms / dimensions
    )
    asked = rng.integers(1, 9, (queries, dimensions)) * (rng.random((queries, dimensions)) < 10 / dimensions)
    return asked.astype(np.float64), dense.astype(np.float64)


@pytest.mark.parametrize("k", [1, 10, 1000, 6000])
def test_many_documents_in_many_segments_are_searched_exactly(k):
    queries, documents = large_case(k)
    ranks = id_ranks(names(len(documents)))
    index = SparseIndex.build(csr_array(documents), ranks, segment_size=700)
    exact = queries @ documents.T
    for scores, found in zip(exact, index.search(csr_array(queries), k), strict=True):
        order = [row for row in np.lexsort((-ranks, -scores)) if scores[row] > 0][:k]
        assert found.rows.tolist() == order
        assert found.scores.tolist() == scores[order].tolist()


def test_the_number_of_threads_and_asking_one_by_one_change_nothing():
    queries, documents = (csr_array(each) for each in large_case(7))
    index = SparseIndex.build(documents, id_ranks(names(5000)), segment_size=1000)
    expected = [pairs(found) for found in index.search(queries, 25, threads=1)]
    assert [pairs(found) for found in index.search(queries, 25, threads=3)] == expected
    rows = [queries[[row]] for row in range(20)]
    one_by_one = [
        index.search_one(row.indices[::-1].astype(np.int32), row.data[::-1].astype(np.float32), 25)
        for row in rows
    ]
    assert [pairs(found) for found in one_by_one] == expected


@pytest.mark.parametrize(
    "weights", [np.arange(1, 3001), np.arange(3000, 0, -1)], ids=["ascending", "descending"]
)
def test_documents_that_each_beat_the_last_are_cut_right(weights):
    index = SparseIndex.build(csr_array(weights[:, None].astype(np.float32)), np.arange(3000))
    best = sorted(weights.tolist(), reverse=True)[:7]
    assert index.search(matrix([{0: 1.0}], 1), 7)[0].scores.tolist() == best


def test_identical_documents_get_one_score_and_come_by_id_whatever_their_segment():
    weights = np.random.default_rng(5).lognormal(size=40).astype(np.float32)
    document = dict(enumerate(weights.tolist()))
    index = SparseIndex.build(matrix([document] * 50, 40), id_ranks(names(50)), segment_size=7)
    found = index.search(matrix([dict(enumerate(weights[::-1].tolist()))], 40), 20)[0]
    assert len(set(found.scores.tolist())) == 1
    assert [names(50)[row] for row in found.rows] == sorted(names(50), reverse=True)[:20]


def test_a_cut_that_float32_sums_would_get_wrong_is_right():
    # In float32, 2**24 + 1 + 1 is 2**24: the first document would tie with the second and win by its id.
    documents = [{0: 2.0**24, 1: 1.0, 2: 1.0}, {0: 2.0**24 + 2}, {0: 2.0**24}]
    index = SparseIndex.build(matrix(documents, 3), id_ranks(["b", "a", "z"]))
    found = index.search(matrix([{0: 1.0, 1: 1.0, 2: 1.0}], 3), 3)[0]
    assert pairs(found) == [(0, 2.0**24 + 2), (1, 2.0**24 + 2), (2, 2.0**24)]


def test_weights_that_cancel_to_zero_are_a_match_and_a_shared_stored_zero_is_none():
    documents = [{0: 1.0, 1: -1.0}, {0: 0.0}, {2: 5.0}, {1: -3.0}]
    index = SparseIndex.build(matrix(documents, 3), id_ranks(["a", "b", "c", "d"]))
    assert pairs(index.search(matrix([{0: 1.0, 1: 1.0, 2: 0.0}], 3), 10)[0]) == [(0, 0.0), (3, -3.0)]


def test_zero_and_negative_zero_are_one_score():
    tiny = 2.0**-100  # the product with itself rounds to a float32 zero, of either sign
    index = SparseIndex.build(matrix([{0: -tiny}, {0: tiny}], 1), id_ranks(["b", "a"]))
    found = index.search(matrix([{0: tiny}], 1), 2)[0]
    assert [str(each) for each in pairs(found)] == ["(0, 0.0)", "(1, 0.0)"]


def test_empty_documents_are_never_found_and_empty_queries_find_nothing():
    index = SparseIndex.build(matrix([{}, {1: 1.0}, {}], 3), id_ranks(["a", "b", "c"]))
    found = index.search(matrix([{}, {1: 1.0}, {2: 1.0}], 3), 10)
    assert [each.rows.tolist() for each in found] == [[], [1], []]


def test_terms_beyond_the_index_find_nothing():
    index = SparseIndex.build(matrix([{0: 1.0, 1: 1.0}], 2), id_ranks(["a"]))
    assert pairs(index.search(matrix([{1: 2.0, 7: 9.0}], 8), 5)[0]) == [(0, 2.0)]


def test_an_empty_corpus_an_empty_vocabulary_and_no_queries_find_nothing():
    empty = SparseIndex.build(csr_array((0, 4), dtype=np.float32), id_ranks([]))
    assert empty.search(matrix([{1: 1.0}], 4), 3)[0].rows.tolist() == []
    nothing = SparseIndex.build(csr_array((2, 0), dtype=np.float32), id_ranks(["a", "b"]))
    assert nothing.search(csr_array((1, 0), dtype=np.float32), 3)[0].rows.tolist() == []
    assert nothing.search(csr_array((0, 0), dtype=np.float32), 3) == []


@pytest.mark.parametrize("documents", [60, 4000])
def test_a_querys_base_is_added_before_rounding_and_finds_no_more(documents):
    """At a base of 2**20, float32 keeps an eighth: sums that differ by less are ties, and ids decide."""
    rng = np.random.default_rng(3)
    impacts = rng.choice([0.0, 0.125, 0.15, 0.2, 0.3, 7.0], size=documents).astype(np.float32)
    ids, base = names(documents), 2.0**20
    index = SparseIndex.build(csr_array(impacts[:, None]), id_ranks(ids), segment_size=512)
    expected = [(row, np.float32(float(impacts[row]) + base)) for row in np.flatnonzero(impacts)]
    expected.sort(key=lambda pair: (pair[1], ids[pair[0]].encode()), reverse=True)
    expected = [(int(row), float(score)) for row, score in expected[:25]]
    (batch, none) = index.search(csr_array(np.array([[1.0], [0.0]])), 25, bases=np.array([base, 5.0]))
    one = index.search_one(np.array([0], dtype=np.int32), np.array([1], dtype=np.float32), 25, base)
    assert pairs(batch) == pairs(one) == expected
    assert len({score for _, score in expected}) < 6
    assert pairs(none) == []


def test_no_result_is_asked_for_and_none_is_given():
    index = SparseIndex.build(matrix([{0: 1.0}], 1), id_ranks(["a"]))
    assert index.search(matrix([{0: 1.0}], 1), 0)[0].rows.tolist() == []


def test_a_terms_repeated_entries_are_summed_as_scipy_reads_them_and_the_matrix_is_left_alone():
    stored = csr_array((np.array([1.0, 2.0, 4.0]), np.array([1, 0, 1]), np.array([0, 3])), (1, 2))
    index = SparseIndex.build(stored, id_ranks(["a"]))
    assert pairs(index.search(matrix([{1: 1.0}], 2), 1)[0]) == [(0, 5.0)]
    assert stored.indices.tolist() == [1, 0, 1]


def test_a_matrix_by_columns_gives_the_same_index():
    _, documents = large_case(3, documents=100)
    by_rows, by_columns = (
        SparseIndex.build(kind(documents), np.arange(100)) for kind in (csr_array, csc_array)
    )
    assert by_rows.documents.tolist() == by_columns.documents.tolist()
    assert by_rows.impacts.tolist() == by_columns.impacts.tolist()


def test_offsets_are_int64_where_the_postings_need_it_and_the_results_are_the_same(monkeypatch):
    queries, documents = (csr_array(each) for each in large_case(11, documents=400))
    narrow = SparseIndex.build(documents, np.arange(400), segment_size=90)
    monkeypatch.setattr(sparse, "INT32_POSTINGS", 100)
    wide = SparseIndex.build(documents, np.arange(400), segment_size=90)
    assert (narrow.offsets.dtype, wide.offsets.dtype) == (np.int32, np.int64)
    assert [pairs(found) for found in wide.search(queries, 9)] == [
        pairs(found) for found in narrow.search(queries, 9)
    ]


def test_progress_counts_every_query_once():
    queries, documents = (csr_array(each) for each in large_case(1, documents=50))
    done = []
    SparseIndex.build(documents, np.arange(50)).search(queries, 3, on_queries_done=done.append)
    assert sum(done) == 20


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_in_documents_and_queries(weight):
    bad, good = matrix([{0: weight}], 1), matrix([{0: 1.0}], 1)
    with pytest.raises(EvaluationFailed, match="VECTORS"):
        SparseIndex.build(bad, id_ranks(["a"]))
    with pytest.raises(EvaluationFailed, match="VECTORS"):
        SparseIndex.build(good, id_ranks(["a"])).search(bad, 1)


def test_scores_that_leave_float32_are_refused():
    index = SparseIndex.build(matrix([{0: 1e30}], 1), id_ranks(["a"]))
    for search in (index.search, TorchSparseIndex.from_index(index, "cpu").search):
        with pytest.raises(EvaluationFailed, match="leave float32"):
            search(matrix([{0: 1e30}], 1), 1)


def test_blocks_of_other_dimensions_and_missing_ranks_are_refused():
    builder = IndexBuilder(3)
    with pytest.raises(EvaluationFailed, match="4 dimensions, the index 3"):
        builder.add(matrix([{0: 1.0}], 4))
    builder.add(matrix([{0: 1.0}], 3))
    with pytest.raises(ValueError, match="1 documents, but 2 ranks"):
        builder.finish(np.arange(2))


def test_building_holds_the_index_and_a_segment_but_never_the_corpus_twice():
    def blocks():
        rng = np.random.default_rng(0)
        for _ in range(40):
            terms = np.sort(rng.permuted(np.tile(np.arange(500), (500, 1)), axis=1)[:, :100], axis=1)
            offsets = np.arange(0, 50_001, 100)
            yield csr_array(
                (np.ones(50_000, dtype=np.float32), terms.ravel().astype(np.int32), offsets), (500, 500)
            )

    SparseIndex.build(next(blocks()), np.arange(500))  # compiles
    tracemalloc.start()
    try:
        builder = IndexBuilder(500, segment_size=1000)
        for block in blocks():
            builder.add(block)
        index = builder.finish(np.arange(20_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert index.nbytes > 12_000_000
    assert peak < 1.3 * index.nbytes + 5_000_000


def run_python(program, **environment):
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, env={**os.environ, **environment}, check=True, capture_output=True, text=True
    ).stdout


def test_compiled_kernels_are_kept_where_numba_is_told_to_and_loaded_from_there(tmp_path):
    program = (
        "import numpy as np; from evaluations.search import kernels;"
        "kernels.middle_of(*np.arange(3, dtype=np.uint64));"
        "print(sum(kernels.middle_of.stats.cache_hits.values()))"
    )
    run = partial(run_python, program, NUMBA_CACHE_DIR=str(tmp_path))
    assert [run(), run()] == ["0\n", "1\n"]
    assert list(tmp_path.rglob("*middle_of*.nbi"))


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch):
    def without_cache(function, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return ("compiled", function, options)

    monkeypatch.setattr(kernels, "njit", without_cache)
    assert kernels.compiled(abs) == ("compiled", abs, {"nogil": True})


def test_an_index_gives_the_matrix_back_that_it_was_made_of():
    matrix = csr_array(
        np.array([[0, 2.5, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0], [0.5, 0, 0, 2], [0, 1, 0, 0]], dtype=np.float32)
    )
    index = SparseIndex.build(matrix, np.arange(5), segment_size=2)
    assert index.matrix().toarray().tolist() == matrix.toarray().tolist()
    assert index.matrix().has_sorted_indices
