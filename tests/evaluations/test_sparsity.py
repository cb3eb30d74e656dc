"""The sparsity of vectors, by hand and by identities."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from evaluations.errors import EvaluationError
from evaluations.sparsity.representation import representation
from evaluations.sparsity.storage import dense_storage
from evaluations.sparsity.weights import parameter_counts, stored_parameters


def test_it_works_by_hand():
    """Two queries and four documents over five dimensions."""
    queries = csr_array(np.array([[1, 0, 2, 0, 0], [0, 0, 3, 0, 0]]))
    documents = csr_array(np.array([[1, 1, 0, 0, 0], [0, 0, 5, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]))
    found = representation(queries, documents).metrics
    assert found["query_active_dims_mean"] == 3 / 2
    assert found["document_active_dims_mean"] == 5 / 4
    assert found["query_sparsity_ratio"] == pytest.approx(1 - 3 / 10)
    assert found["document_sparsity_ratio"] == pytest.approx(1 - 5 / 20)
    assert found["flops"] == pytest.approx(1 / 2 * 1 / 4 + 1 * 2 / 4)
    assert found["postings_per_query_mean"] == ((1 + 2) + 2) / 2


def matrices(rows: int):
    row = st.lists(st.integers(-1, 2), min_size=6, max_size=6)
    return st.lists(row, min_size=1, max_size=rows).map(
        lambda rows: csr_array(np.array(rows, dtype=np.float64))
    )


@given(matrices(5), matrices(9))
def test_postings_per_query_are_documents_times_flops(queries, documents):
    found = representation(queries, documents).metrics
    assert found["postings_per_query_mean"] == pytest.approx(documents.shape[0] * found["flops"], rel=1e-12)


@given(matrices(5), matrices(9))
def test_stored_zeros_are_no_dimensions_and_the_arguments_stay(queries, documents):
    with_zeros = documents.copy()
    with_zeros.data[::2] = 0.0
    stored = with_zeros.nnz
    dense = csr_array(with_zeros.toarray())
    assert representation(queries, with_zeros).metrics == representation(queries, dense).metrics
    assert with_zeros.nnz == stored


def test_a_term_that_a_query_repeats_is_one_dimension():
    queries = csr_array((np.ones(3), ([0, 0, 0], [1, 1, 2])), shape=(1, 4))
    documents = csr_array(np.array([[0, 1, 0, 0]]))
    found = representation(queries, documents).metrics
    assert found["query_active_dims_mean"] == 2
    assert found["postings_per_query_mean"] == 1


def test_the_bytes_of_a_dense_index_are_its_float32_matrix():
    assert dense_storage(1000, 384).metrics == {
        "dimensions": 384,
        "bytes_per_vector": 1536,
        "index_bytes": 1_536_000,
    }


def test_a_mixture_of_experts_does_not_pass_its_total_off_as_active():
    found = parameter_counts(100, {"num_local_experts": 8})
    assert found.metrics == {"parameters": 100, "active_parameters": None}
    assert "active_parameters" in found.reasons
    assert parameter_counts(100, {"num_experts": 0}).metrics["active_parameters"] == 100


def test_parameters_are_counted_from_the_header_alone(tmp_path):
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "weight": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
            "scale": {"dtype": "BF16", "shape": [], "data_offsets": [48, 50]},
            "position_ids": {"dtype": "I64", "shape": [1, 512], "data_offsets": [50, 4146]},
        }
    ).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert stored_parameters([tmp_path]) == 13


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, struct.pack("<Q", 4) + b"nope"])
def test_a_damaged_header_is_refused(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(EvaluationError, match="MODEL-WEIGHTS"):
        stored_parameters([tmp_path])
