"""What a learned sparse encoder adds to the words of a text, and what it leaves out."""

from typing import Any

from scipy.sparse import csr_array

from evaluations.sparsity.representation import without_zeros
from evaluations.tracks import Findings, not_applicable


def expansion(side: str, vectors: "csr_array[Any]", words: "csr_array[Any]") -> Findings:
    """Means over texts, rows (texts, V) of both: `words` is non-zero where a token of the text is.

    Expansion: active dimensions whose term is not in the text. Dropped: distinct terms of the text without a
    weight. The tokens are those of the model's own tokeniser, special ones left out.
    """
    own, said = without_zeros(vectors), without_zeros(words)
    own.data[:] = 1
    said.data[:] = 1
    texts, kept = own.shape[0], own.multiply(said).nnz
    return Findings(
        {
            f"{side}_expansion_terms_mean": (own.nnz - kept) / texts,
            f"{side}_dropped_terms_mean": (said.nnz - kept) / texts,
        }
    )


def no_expansion(reason: str) -> Findings:
    """Where dimensions are no terms, or the terms are the text's own by construction."""
    return not_applicable(reason, *EXPANSION)


EXPANSION = (
    "query_expansion_terms_mean",
    "query_dropped_terms_mean",
    "document_expansion_terms_mean",
    "document_dropped_terms_mean",
)
