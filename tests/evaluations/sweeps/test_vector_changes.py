"""Changes of vectors: worked out by hand, and what must hold of any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from evaluations.errors import EvaluationError
from evaluations.progress import Progress
from evaluations.search.maxsim import TokenVectors
from evaluations.sparsity.sweeps import Encoded, Searcher, sweep_of
from evaluations.sparsity.sweeps.codebooks import product_quantised
from evaluations.sparsity.sweeps.dimensions import truncated
from evaluations.sparsity.sweeps.figures import figures
from evaluations.sparsity.sweeps.impact_bits import quantised
from evaluations.sparsity.sweeps.terms import most_weighty
from evaluations.sparsity.sweeps.vector_bits import linear, signs
from evaluations.sparsity.sweeps.vectors import is_unit, require_something


def sparse(rows):
    return csr_array(np.array(rows, dtype=np.float32))


def rows_of(matrix):
    return np.asarray(matrix.todense()).tolist()


def encoded(documents, queries, form="sparse"):
    count = len(documents) if form == "dense" else documents.shape[0]
    asked = len(queries) if form == "dense" else queries.shape[0]
    return Encoded(
        form,
        [f"d{place}" for place in range(count)],
        documents,
        [f"q{place}" for place in range(asked)],
        queries,
    )


def change(name, whole, value):
    changed = sweep_of(name).variants[0].vectors(whole, value)
    return changed, figures(changed.encoded, changed.facts, Searcher(1))


DENSE = np.array([[3.0, 4.0, 0.0, 0.0], [0.0, 1.0, -2.0, 2.0]], dtype=np.float32)


def test_the_terms_of_greatest_weight_stay_and_of_equal_ones_the_lower_number():
    found = most_weighty(sparse([[1, 3, 3, 3], [0, 0, 5, 0], [0, 0, 0, 0], [2, 9, 2, 1]]), 2)
    assert rows_of(found) == [[0, 3, 3, 0], [0, 0, 5, 0], [0, 0, 0, 0], [2, 9, 0, 0]]


def test_a_weight_below_zero_counts_by_its_magnitude():
    assert rows_of(most_weighty(sparse([[1, -4, 2]]), 2)) == [[0, -4, 2]]


def test_impacts_are_rounded_halves_to_even_on_the_greatest_impacts_scale():
    # 2 bits, greatest 6: steps of 2. 1 / 2 = 0.5 goes to 0 and is dropped, 3 / 2 = 1.5 and 5 / 2 = 2.5 to 2.
    found = quantised(sparse([[6, 1, 3], [5, 0.9, 2]]), 2)
    assert rows_of(found) == [[3, 0, 2], [2, 0, 1]]
    assert found.nnz == 4


def test_impacts_below_zero_are_refused():
    with pytest.raises(EvaluationError, match="SWEEP-POINT"):
        quantised(sparse([[1, -1]]), 8)


def test_impact_bits_change_documents_only_and_pack_the_impacts():
    whole = encoded(sparse([[6, 1, 3], [5, 0.9, 2]]), sparse([[0.3, 0, 0.7]]))
    changed, found = change("impact-bits", whole, "2")
    assert changed.encoded.queries is whole.queries
    # 4 postings of 2 bytes, 4 offsets of terms, 2 ranks and 2 rows of documents of 4 bytes, and 4 impacts of
    # 2 bits, which are one byte.
    assert found["index_bytes"] == 4 * 2 + 4 * 4 + 2 * 4 + 2 * 4 + 1
    assert changed.facts.level == pytest.approx(1 - 4 * 2 / (6 * 32))


def test_the_first_dimensions_are_brought_to_length_one_where_the_whole_vectors_had_it():
    unit = np.array([[0.6, 0.0, 0.8], [0.0, 0.0, 1.0]], dtype=np.float32)
    changed, found = change("dimensions", encoded(unit, unit, "dense"), "2")
    np.testing.assert_array_equal(changed.encoded.documents, [[1.0, 0.0], [0.0, 0.0]])
    assert found["index_bytes"] == 2 * 2 * 4
    assert changed.facts.level == pytest.approx(1 / 3)


def test_vectors_compared_by_their_product_keep_the_length_that_is_left():
    changed, _ = change("dimensions", encoded(DENSE, DENSE, "dense"), "2")
    np.testing.assert_array_equal(changed.encoded.documents, DENSE[:, :2])


def test_more_dimensions_than_there_are_is_a_gap_and_all_of_them_change_nothing():
    whole = encoded(DENSE, DENSE, "dense")
    with pytest.raises(EvaluationError, match="have 4 dimensions, fewer than 5"):
        change("dimensions", whole, "5")
    assert change("dimensions", whole, "4")[0].encoded is whole


def test_two_bits_are_four_levels_between_each_dimensions_least_and_greatest():
    # First dimension from 0 to 3: levels 0, 1, 2, 3, halves to even. The second has no extent.
    rows = np.array([[0.0, 7.0], [3.0, 7.0], [0.5, 7.0], [1.5, 7.0], [2.4, 7.0]], dtype=np.float32)
    np.testing.assert_array_equal(linear(rows, 2), [[0, 7], [3, 7], [0, 7], [2, 7], [2, 7]])


def test_one_bit_is_the_sign_and_zero_is_not_above_zero():
    np.testing.assert_array_equal(signs(DENSE), [[1, 1, -1, -1], [-1, 1, -1, 1]])


def test_bits_are_packed_and_the_levels_table_is_counted():
    whole = encoded(DENSE, DENSE, "dense")
    assert change("vector-bits", whole, "8")[1]["index_bytes"] == 2 * 4 + 2 * 4 * 4
    assert change("vector-bits", whole, "1")[1]["index_bytes"] == 2 * 1
    assert change("vector-bits", whole, "1")[1]["bytes_per_vector"] == 1


def test_queries_stay_float_where_documents_are_quantised():
    whole = encoded(DENSE, DENSE, "dense")
    for name, value in (("vector-bits", "1"), ("product-quantisation", "2")):
        assert change(name, whole, value)[0].encoded.queries is DENSE


def test_the_score_of_a_quantised_document_is_the_float_querys_product_with_its_signs():
    whole = encoded(DENSE, np.array([[1.0, 0.5, 0.25, -2.0]], dtype=np.float32), "dense")
    changed, _ = change("vector-bits", whole, "1")
    found = Searcher(1).run(changed.encoded, 10, Progress()).lists["q0"]
    # d0: 1 + 0.5 - 0.25 + 2 = 3.25; d1: -1 + 0.5 - 0.25 - 2 = -2.75
    assert list(found.document_ids) == ["d0", "d1"]
    assert found.scores.tolist() == [3.25, -2.75]


def test_few_vectors_are_their_own_codebooks():
    decoded, book_bytes = product_quantised(DENSE, 2)
    np.testing.assert_array_equal(decoded, DENSE)
    assert book_bytes == 2 * 2 * 2 * 4  # two parts with two distinct halves of two float32 each


def test_clusters_that_lie_apart_each_have_a_centroid():
    # 200 tight clusters, 256 centroids: none needs to share, so nothing is farther than its cluster's width.
    generator = np.random.default_rng(5)
    centres = np.arange(200, dtype=np.float32)[:, None] * 100 * np.ones((1, 2), dtype=np.float32)
    rows = np.repeat(centres, 10, axis=0) + generator.normal(0, 0.01, (2000, 2)).astype(np.float32)
    decoded, _ = product_quantised(rows, 1)
    assert np.abs(decoded - rows).max() < 0.1


def test_codebooks_are_seeded():
    rows = np.random.default_rng(2).normal(size=(600, 4)).astype(np.float32)
    np.testing.assert_array_equal(product_quantised(rows, 2)[0], product_quantised(rows, 2)[0])


def test_parts_must_divide_the_dimensions():
    with pytest.raises(EvaluationError, match="4 dimensions cannot be cut into 3 parts"):
        change("product-quantisation", encoded(DENSE, DENSE, "dense"), "3")


def test_several_vectors_a_document_are_changed_row_by_row():
    vectors = TokenVectors(DENSE, np.array([0, 1, 1, 2]))
    whole = Encoded("multi-vector", ["d0", "d1", "d2"], vectors, ["q0", "q1", "q2"], vectors)
    changed, found = change("vector-bits", whole, "8")
    assert changed.encoded.documents.offsets.tolist() == [0, 1, 1, 2]
    assert found["index_bytes"] == 2 * 4 + 2 * 4 * 4 + 4 * 8
    assert found["document_vectors_mean"] == pytest.approx(2 / 3)


def test_a_sweep_of_terms_refuses_dense_vectors_and_the_other_way_round():
    with pytest.raises(EvaluationError, match="these vectors are dense"):
        change("document-terms", encoded(DENSE, DENSE, "dense"), "1")
    with pytest.raises(EvaluationError, match="these vectors are sparse"):
        change("vector-bits", encoded(sparse([[1]]), sparse([[1]])), "1")


def test_vectors_that_are_all_zero_are_named_by_their_side():
    nothing = csr_array((1, 3), dtype=np.float32)
    with pytest.raises(EvaluationError, match="all vectors of the documents are zero"):
        require_something(encoded(nothing, sparse([[1, 0, 0]])))
    with pytest.raises(EvaluationError, match="all vectors of the queries are zero"):
        require_something(encoded(np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32), "dense"))


def test_length_one_is_told_from_other_lengths():
    assert is_unit(np.array([[0.6, 0.8], [0.0, 0.0]], dtype=np.float32))
    assert not is_unit(DENSE)
    assert not is_unit(np.zeros((2, 2), dtype=np.float32))


WEIGHTS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.just(8)), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0])
)


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, WEIGHTS, st.sampled_from(["document-terms", "query-terms"]))
def test_pruning_more_terms_never_raises_flops_and_pruning_none_changes_nothing(documents, queries, name):
    whole = encoded(csr_array(documents), csr_array(queries))
    found = [change(name, whole, str(terms))[1]["flops"] for terms in (8, 5, 3, 2, 1)]
    assert found == sorted(found, reverse=True)
    unchanged = change(name, whole, "8")[0].encoded
    assert rows_of(unchanged.documents) == documents.tolist()
    assert rows_of(unchanged.queries) == queries.tolist()


@settings(max_examples=40, deadline=None)
@given(WEIGHTS)
def test_an_index_of_impacts_falls_with_their_bits(documents):
    whole = encoded(csr_array(documents), csr_array(documents))
    sizes = [change("impact-bits", whole, str(bits))[1]["index_bytes"] for bits in range(1, 17)]
    assert sizes == sorted(sizes)
    postings = [quantised(csr_array(documents), bits).nnz for bits in range(1, 17)]
    assert postings == sorted(postings)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 50))
def test_an_index_of_vectors_falls_with_their_bits(vectors, dimensions):
    rows = np.ones((vectors, dimensions), dtype=np.float32)
    whole = encoded(rows, rows, "dense")
    sizes = [change("vector-bits", whole, str(bits))[1]["index_bytes"] for bits in (1, 2, 4, 8)]
    assert sizes == sorted(sizes)


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.float32, (5, 6), elements=st.floats(-4, 4, width=32)),
    st.integers(2, 8),
)
def test_a_quantised_value_is_at_most_half_a_step_away(rows, bits):
    step = (rows.max(axis=0).astype(float) - rows.min(axis=0)) / (2**bits - 1)
    assert (np.abs(linear(rows, bits) - rows) <= step / 2 + 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(np.float32, (4, 6), elements=st.floats(-4, 4, width=32)))
def test_all_dimensions_without_renormalising_are_the_vectors_themselves(rows):
    np.testing.assert_array_equal(truncated(rows, 6, renormalised=False), rows)
