"""The sparsity of term-based vectors, by hand, by identities and against sentence-transformers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from evaluations.search.order import id_ranks
from evaluations.search.sparse import SparseIndex
from evaluations.sparsity.expansion import expansion
from evaluations.sparsity.representation import (
    counts_of_postings,
    counts_of_rows,
    flops,
    gini,
    sparse_profile,
)

QUERIES = csr_array(np.array([[1, 0, 2, 0, 0], [0, 0, 3, 0, 0]]))
DOCUMENTS = csr_array(np.array([[1, 1, 0, 0, 0], [0, 0, -5, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]))


def profile(queries, documents):
    return sparse_profile(queries, counts_of_rows(documents)).metrics


def test_it_works_by_hand():
    """Two queries and four documents over five dimensions; documents have 2, 1, 2 and 0 terms."""
    found = profile(QUERIES, DOCUMENTS)
    assert found["query_active_dims_mean"] == 3 / 2
    assert found["document_active_dims_mean"] == 5 / 4
    assert found["document_active_dims_p50"] == 1.5
    assert found["document_active_dims_p95"] == pytest.approx(2.0)
    assert found["query_active_dims_p95"] == pytest.approx(1 + 0.95)
    assert (found["query_active_dims_max"], found["document_active_dims_max"]) == (2, 2)
    assert found["query_sparsity_ratio"] == pytest.approx(1 - 3 / 10)
    assert found["document_sparsity_ratio"] == pytest.approx(1 - 5 / 20)
    assert found["query_l1_mean"] == (3 + 3) / 2
    assert found["document_l1_mean"] == (2 + 5 + 2 + 0) / 4
    assert found["flops"] == pytest.approx(1 / 2 * 1 / 4 + 1 * 2 / 4)
    assert found["postings_per_query_mean"] == ((1 + 2) + 2) / 2
    assert found["postings_per_query_p95"] == pytest.approx(2 + 0.95)
    assert (found["vocabulary_used"], found["vocabulary_used_share"]) == (4, 4 / 5)
    # Document frequencies 1, 1, 1, 2: 2 (1 + 2 + 3 + 8) / (4 * 5) - 5 / 4.
    assert found["document_frequency_gini"] == pytest.approx(28 / 20 - 5 / 4)


def test_the_gini_coefficient_is_zero_for_equals_and_near_one_where_one_has_all():
    assert gini(np.array([7, 7, 7])) == pytest.approx(0)
    assert gini(np.array([1] * 99 + [1_000_000])) == pytest.approx(0.99, abs=0.001)
    assert gini(np.array([0, 0, 7, 7])) == pytest.approx(0)  # dimensions that nothing uses do not count


def matrices(rows: int):
    row = st.lists(st.integers(-1, 2), min_size=6, max_size=6)
    return st.lists(row, min_size=1, max_size=rows).map(
        lambda rows: csr_array(np.array(rows, dtype=np.float32))
    )


@given(matrices(5), matrices(9))
def test_postings_per_query_are_documents_times_flops(queries, documents):
    found = profile(queries, documents)
    assert found["postings_per_query_mean"] == pytest.approx(documents.shape[0] * found["flops"], rel=1e-12)


@given(matrices(5), matrices(9))
def test_stored_zeros_are_no_dimensions_and_the_arguments_stay(queries, documents):
    with_zeros = documents.copy()
    with_zeros.data[::2] = 0.0
    stored = with_zeros.nnz
    dense = csr_array(with_zeros.toarray())
    assert profile(queries, with_zeros) == profile(queries, dense)
    assert with_zeros.nnz == stored


@given(matrices(4), matrices(9), st.integers(0, 6), st.integers(1, 6))
def test_pruning_more_terms_never_raises_flops(queries, documents, kept, more):
    """`kept` and then fewer of the largest weights of each document."""
    wide, narrow = (_largest(documents, count) for count in (kept, max(kept - more, 0)))
    assert profile(queries, narrow)["flops"] <= profile(queries, wide)["flops"]


def _largest(documents, count):
    dense = documents.toarray()
    order = np.argsort(-np.abs(dense), axis=1, kind="stable")
    pruned = np.zeros_like(dense)
    for row, places in enumerate(order):
        pruned[row, places[:count]] = dense[row, places[:count]]
    return csr_array(pruned)


@given(matrices(4), matrices(9))
def test_no_metric_is_ever_nan(queries, documents):
    for value in profile(queries, documents).values():
        assert value is None or np.isfinite(value)


def test_a_corpus_without_a_term_has_no_skew_and_a_reason():
    found = sparse_profile(QUERIES, counts_of_rows(csr_array((3, 5))))
    assert found.metrics["document_frequency_gini"] is None
    assert "no document" in found.reasons["document_frequency_gini"]
    assert found.metrics["flops"] == 0


def test_a_term_that_a_query_repeats_is_one_dimension():
    queries = csr_array((np.ones(3), ([0, 0, 0], [1, 1, 2])), shape=(1, 4))
    found = profile(queries, csr_array(np.array([[0, 1, 0, 0]])))
    assert found["query_active_dims_mean"] == 2
    assert found["postings_per_query_mean"] == 1


@settings(deadline=None)  # the first compiles
@given(matrices(9), st.integers(1, 10))
def test_an_index_is_counted_as_the_rows_it_was_made_of(documents, segment_size):
    ranks = id_ranks([f"d{row}" for row in range(documents.shape[0])])
    index = SparseIndex.build(documents, ranks, segment_size=segment_size)
    found = counts_of_postings(index.offsets, index.documents, index.impacts, segment_size, len(index))
    expected = counts_of_rows(documents)
    for name in ("frequency", "active", "l1"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


def test_flops_does_not_look_at_weights():
    share = np.array([0.5, 0.25])
    assert flops(share, np.array([1.0, 0.5])) == 0.5 + 0.125


def test_expansion_and_dropped_terms_by_hand():
    """Text 1 says terms 0 and 1 and weighs 0, 3 and 4; text 2 says 2 and weighs nothing."""
    vectors = csr_array(np.array([[5.0, 0, 0, 1, 2], [0, 0, 0, 0, 0]]))
    words = csr_array(np.array([[2.0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]))
    found = expansion("document", vectors, words).metrics
    assert found == {"document_expansion_terms_mean": 2 / 2, "document_dropped_terms_mean": (1 + 1) / 2}


def test_flops_and_active_dims_are_those_of_sentence_transformers(tmp_path):
    """Its evaluator over a corpus of which every query is judged, and ours over the vectors it made."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sparse_encoder.evaluation import SparseInformationRetrievalEvaluator
    from sentence_transformers.sparse_encoder.modules import SpladePooling

    from evaluations.systems.sparse_vectors import to_csr
    from tests.evaluations.systems import tiny_bert

    folder = tiny_bert.masked_lm(tmp_path / "model")
    modules = [Transformer(str(folder), transformer_task="fill-mask"), SpladePooling("max")]
    model = SparseEncoder(modules=modules, device="cpu")
    queries = {"q1": "swept wing lift", "q2": "heat flow", "q3": "layer"}
    corpus = {"d1": "swept wing", "d2": "boundary layer", "d3": "heat flow of a plate", "d4": "lift lift"}
    judged = SparseInformationRetrievalEvaluator(
        queries, corpus, {query: {"d1"} for query in queries}, accuracy_at_k=[1], precision_recall_at_k=[1],
        mrr_at_k=[1], ndcg_at_k=[1], map_at_k=[1],
    )  # fmt: skip
    theirs = {name.removeprefix("cosine_"): value for name, value in judged(model).items()}
    tensors = {"convert_to_tensor": True, "convert_to_sparse_tensor": False}
    ours = profile(
        to_csr(model.encode_query(list(queries.values()), **tensors)),
        to_csr(model.encode_document(list(corpus.values()), **tensors)),
    )
    assert ours["flops"] == pytest.approx(theirs["avg_flops"], rel=1e-6)
    assert ours["flops"] > 0
    assert ours["query_active_dims_mean"] == pytest.approx(theirs["query_active_dims"], rel=1e-6)
    assert ours["document_active_dims_mean"] == pytest.approx(theirs["corpus_active_dims"], rel=1e-6)
    assert ours["document_sparsity_ratio"] == pytest.approx(theirs["corpus_sparsity_ratio"], rel=1e-6)
