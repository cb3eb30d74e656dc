"""The served index, encoded by the kernel and decoded again here."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from evaluations.search.order import id_ranks
from evaluations.search.sparse import SparseIndex
from evaluations.sparsity.served import encode_term, served, served_storage


def index_of(matrix, segment_size=4):
    ranks = id_ranks([f"d{row}" for row in range(matrix.shape[0])])
    return SparseIndex.build(csr_array(matrix.astype(np.float32)), ranks, segment_size=segment_size)


def arrays(index):
    return index.offsets, index.documents, index.impacts, index.segment_size


def decoded(code):
    """Document numbers of gaps minus one, seven bits a byte, the last of each with its upper bit set."""
    documents, previous, gap, shift = [], -1, 0, 0
    for byte in code.tolist():
        gap |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            previous += gap + 1
            documents.append(previous)
            gap = shift = 0
    return documents


def test_it_counts_what_it_would_write():
    """Term 0 in documents 0 and 200: gaps 0 and 199, so 1 and 2 bytes. Term 1 in document 1: 1 byte."""
    matrix = np.zeros((300, 3))
    matrix[0, 0] = matrix[200, 0] = matrix[1, 1] = 2.0
    found = served(*arrays(index_of(matrix)))
    assert (found.postings, found.id_bytes, found.impact_bytes, found.offset_bytes) == (3, 4, 3, 8 * 4)
    assert served_storage(*arrays(index_of(matrix))).metrics["index_served_bytes"] == 4 + 3 + 32


def test_an_impact_that_rounds_to_zero_is_dropped_with_its_posting():
    """Of 255 levels 0.5 / 255 of the largest rounds half to even, to zero; a little more rounds to one."""
    halves = served(*arrays(index_of(np.array([[255.0], [0.5]]))))
    more = served(*arrays(index_of(np.array([[255.0], [0.51]]))))
    assert (halves.postings, more.postings) == (1, 2)


def test_a_negative_impact_leaves_127_levels_a_side():
    assert served(*arrays(index_of(np.array([[-127.0], [0.51]])))).postings == 2
    assert served(*arrays(index_of(np.array([[-127.0], [0.49]])))).postings == 1


def test_an_index_without_a_posting_has_its_offsets_alone():
    assert served(*arrays(index_of(np.zeros((2, 3))))).total_bytes == 8 * 4


@settings(deadline=None)  # the first compiles
@given(st.sets(st.integers(0, 1000), min_size=1, max_size=30), st.sampled_from([100, 1 << 16]))
def test_the_ids_can_be_read_back(documents, segment_size):
    matrix = np.zeros((1001, 1))
    matrix[sorted(documents)] = 1.0
    index = index_of(matrix, segment_size)
    out = np.empty(5 * len(documents), dtype=np.uint8)
    count, size = encode_term(0, *arrays(index), 255.0, out)
    assert count == len(documents)
    assert decoded(out[:size]) == sorted(documents)


def test_ids_beyond_a_segment_are_read_back_too():
    offsets = np.array([[0, 1], [1, 2]], dtype=np.int64)
    documents, impacts = np.array([5, 7], dtype=np.uint16), np.ones(2, dtype=np.float32)
    out = np.empty(10, dtype=np.uint8)
    assert encode_term(0, offsets, documents, impacts, 1 << 16, 255.0, out) == (2, 1 + 3)
    assert decoded(out[:4]) == [5, (1 << 16) + 7]
