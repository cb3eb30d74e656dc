"""What vectors hold, and what an index of them takes."""

from functools import partial

from .kinds import Across, Family, Group, Metric, Style

_about = partial(Metric, family=Family.REPRESENTATION)
_detail = partial(_about, on_board=False)


def _terms(side: str, short: str) -> tuple[Metric, ...]:
    """Of one side's sparse vectors."""
    number, share = Style.NUMBER, Style.PERCENT
    return (
        _about(
            f"{side}_active_dims_mean", f"{short} terms", Group.SPARSITY, number, False,
            help=f"Mean non-zeros of a {side}",
        ),
        _detail(
            f"{side}_active_dims_p50", f"{short} terms, median", Group.SPARSITY, number, False,
            help=f"Median non-zeros of a {side}",
        ),
        _detail(
            f"{side}_active_dims_p95", f"{short} terms, p95", Group.SPARSITY, number, False,
            help=f"Non-zeros that 95 % of the {side}s' vectors do not exceed",
        ),
        _detail(
            f"{side}_active_dims_max", f"{short} terms, most", Group.SPARSITY, number, False, Across.MAX,
            help=f"Most non-zeros of a {side}",
        ),
        _detail(
            f"{side}_sparsity_ratio", f"{short} zeros", Group.SPARSITY, share, None,
            help=f"Share of zeros in a {side}'s vector",
        ),
        _detail(
            f"{side}_l1_mean", f"{short} L1", Group.SPARSITY, number, None,
            help=f"Sum of the absolute weights of a {side}, mean",
        ),
        _detail(
            f"{side}_expansion_terms_mean", f"{short} expansion", Group.SPARSITY, number, None,
            help=f"Terms of a {side}'s vector that are not in its text, mean over a sample",
        ),
        _detail(
            f"{side}_dropped_terms_mean", f"{short} dropped", Group.SPARSITY, number, None,
            help=f"Terms of a {side}'s text that have no weight, mean over a sample",
        ),
    )  # fmt: skip


METRICS = (
    _about(
        "index_bytes", "Index size", Group.COST, Style.BYTES, False, Across.SUM,
        "Documents' vectors as stored, all datasets together",
    ),
    _about(
        "index_served_bytes", "Served index", Group.COST, Style.BYTES, False, Across.SUM,
        "The same with impacts of 8 bits and document numbers as gaps in variable bytes",
    ),
    _detail(
        "bytes_per_vector", "Bytes a vector", Group.COST, Style.BYTES, False,
        help="Stored bytes of one vector; late interaction has several a document",
    ),
    _about(
        "bytes_per_document_mean", "Bytes a document", Group.COST, Style.BYTES, False,
        help="Stored bytes of a document of several vectors, mean",
    ),
    _about(
        "document_vectors_mean", "Doc vectors", Group.SPARSITY, Style.NUMBER, False,
        help="Mean vectors of a document",
    ),
    _detail(
        "query_vectors_mean", "Query vectors", Group.SPARSITY, Style.NUMBER, False,
        help="Mean vectors of a query",
    ),
    *_terms("query", "Query"),
    *_terms("document", "Doc"),
    _about(
        "flops", "FLOPS", Group.SPARSITY, Style.NUMBER, False,
        help="Expected number of terms a query and a document share",
    ),
    _detail(
        "flops_pooled", "FLOPS, pooled", Group.SPARSITY, Style.NUMBER, False, Across.POOLED,
        "FLOPS of all datasets' queries and documents taken together",
    ),
    _about(
        "postings_per_query_mean", "Postings a query", Group.SPARSITY, Style.COUNT, False,
        help="Postings read for one query, mean",
    ),
    _detail(
        "postings_per_query_p95", "Postings a query, p95", Group.SPARSITY, Style.COUNT, False,
        help="Postings that 95 % of the queries do not exceed",
    ),
    _detail(
        "vocabulary_used", "Vocabulary used", Group.SPARSITY, Style.COUNT, None,
        help="Dimensions that some document uses",
    ),
    _detail(
        "vocabulary_used_share", "Vocabulary used, share", Group.SPARSITY, Style.PERCENT, None,
        help="Share of the dimensions that some document uses",
    ),
    _detail(
        "document_frequency_gini", "Skew of terms", Group.SPARSITY, Style.NUMBER, None,
        help="Gini coefficient of the document frequencies of the dimensions used: 0 where all are equal",
    ),
    _about(
        "dimensions", "Dimensions", Group.SPARSITY, Style.COUNT, None, Across.SAME,
        "Length of a dense vector",
    ),
    _detail(
        "near_zero_components_share", "Near-zero components", Group.SPARSITY, Style.PERCENT, None,
        help="Components below a thousandth of the root mean square",
    ),
    _detail(
        "effective_rank", "Effective rank", Group.SPARSITY, Style.NUMBER, None,
        help="Directions that the documents' vectors fill: exp of the entropy of the singular values",
    ),
)  # fmt: skip
