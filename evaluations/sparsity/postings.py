"""The whole profile of an inverted index and the queries that were put to it. Importing this brings numba."""

from typing import Any

from scipy.sparse import csr_array

from evaluations.search.sparse import SparseIndex
from evaluations.sparsity.pooling import counts_table
from evaluations.sparsity.representation import counts_of_postings, counts_of_rows, sparse_profile
from evaluations.sparsity.served import served_storage
from evaluations.sparsity.storage import sparse_storage
from evaluations.tracks import Findings


def index_profile(
    index: SparseIndex, queries: "csr_array[Any]", *, same_dimensions: bool = False
) -> Findings:
    """Representation and storage. `same_dimensions`: they mean the same on every dataset.

    Then the counts by dimension are kept, so that FLOPS can be pooled over datasets.
    """
    arrays = (index.offsets, index.documents, index.impacts, index.segment_size)
    documents = counts_of_postings(*arrays, total=len(index))
    found = sparse_profile(queries, documents) | sparse_storage(index.nbytes) | served_storage(*arrays)
    return found | counts_table(counts_of_rows(queries), documents) if same_dimensions else found
