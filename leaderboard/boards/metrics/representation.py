"""What vectors hold, and what an index of them takes."""

from .kinds import Across, Group, Metric, Style

METRICS = (
    Metric(
        "index_bytes",
        "Index size",
        Group.COST,
        Style.BYTES,
        False,
        Across.SUM,
        "Documents' vectors as stored, all datasets together",
    ),
    Metric(
        "bytes_per_vector",
        "Bytes a vector",
        Group.COST,
        Style.BYTES,
        False,
        help="Stored bytes of one vector; late interaction has several a document",
    ),
    Metric(
        "bytes_per_document_mean",
        "Bytes a document",
        Group.COST,
        Style.BYTES,
        False,
        help="Stored bytes of a document of several vectors, mean",
    ),
    Metric(
        "document_vectors_mean",
        "Doc vectors",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Mean vectors of a document",
    ),
    Metric(
        "query_vectors_mean",
        "Query vectors",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Mean vectors of a query",
    ),
    Metric(
        "query_active_dims_mean",
        "Query terms",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Mean non-zeros of a query",
    ),
    Metric(
        "document_active_dims_mean",
        "Doc terms",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Mean non-zeros of a document",
    ),
    Metric(
        "query_sparsity_ratio",
        "Query zeros",
        Group.SPARSITY,
        Style.PERCENT,
        None,
        help="Share of zeros in a query's vector",
    ),
    Metric(
        "document_sparsity_ratio",
        "Doc zeros",
        Group.SPARSITY,
        Style.PERCENT,
        None,
        help="Share of zeros in a document's vector",
    ),
    Metric(
        "flops",
        "FLOPS",
        Group.SPARSITY,
        Style.NUMBER,
        False,
        help="Expected number of terms a query and a document share",
    ),
    Metric(
        "postings_per_query_mean",
        "Postings a query",
        Group.SPARSITY,
        Style.COUNT,
        False,
        help="Postings read for one query, mean",
    ),
    Metric(
        "dimensions", "Dimensions", Group.SPARSITY, Style.COUNT, None, Across.SAME, "Length of a dense vector"
    ),
)
