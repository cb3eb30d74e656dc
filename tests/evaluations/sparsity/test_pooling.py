"""FLOPS over several datasets, and the table of counts that it is made of."""

import io

import numpy as np
import pytest
from scipy.sparse import csr_array

from evaluations.artefacts import write_arrays
from evaluations.errors import EvaluationError
from evaluations.sparsity.pooling import DIMENSION_COUNTS, counts_table, pooled_flops, read_table
from evaluations.sparsity.representation import counts_of_rows, sparse_profile

ONE = (csr_array(np.array([[1, 0], [1, 1]])), csr_array(np.array([[1, 0], [0, 0]])))
OTHER = (csr_array(np.array([[0, 1]])), csr_array(np.array([[1, 1], [1, 1], [0, 1]])))


def table(queries, documents):
    return counts_table(counts_of_rows(queries), counts_of_rows(documents)).arrays[DIMENSION_COUNTS]


def test_pooled_flops_by_hand():
    """Together three queries with 2, 2 of each dimension and five documents with 3, 3."""
    assert pooled_flops([table(*ONE), table(*OTHER)]) == pytest.approx(2 / 3 * 3 / 5 + 2 / 3 * 3 / 5)


def test_of_one_dataset_it_is_its_flops():
    flops = sparse_profile(ONE[0], counts_of_rows(ONE[1])).metrics["flops"]
    assert pooled_flops([table(*ONE)]) == pytest.approx(flops, rel=1e-12)


def test_vocabularies_of_other_sizes_are_not_pooled():
    assert pooled_flops([table(*ONE), np.ones((2, 9), dtype=np.uint32)]) is None
    assert pooled_flops([]) is None


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    write_arrays(tmp_path, {DIMENSION_COUNTS: table(*OTHER)})
    with (tmp_path / DIMENSION_COUNTS).open("rb") as stream:
        assert read_table(stream).tolist() == [[1, 0, 1], [3, 2, 3]]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3), dtype=np.uint32),
        np.array([[1, 2], [1, 1]], dtype=np.uint32),
        np.ones((3, 3), dtype=np.uint32),
        np.ones((2, 3), dtype=np.float32),
        np.ones(4, dtype=np.uint32),
    ],
)
def test_what_is_no_table_of_counts_is_refused(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    buffer.seek(0)
    with pytest.raises(EvaluationError, match="VECTORS-FORMAT"):
        read_table(buffer)


def test_a_header_that_declares_more_than_there_is_is_refused_unread():
    buffer = io.BytesIO()
    np.save(buffer, np.ones((2, 3), dtype=np.uint32))
    content = buffer.getvalue().replace(b"(2, 3)", b"(2, 9999999999)".ljust(6))
    with pytest.raises(EvaluationError, match="VECTORS-FORMAT"):
        read_table(io.BytesIO(content))
    with pytest.raises(EvaluationError):
        read_table(io.BytesIO(b""))
