"""Which sweeps there are, in the order in which people see them."""

from collections.abc import Mapping

from evaluations.sparsity.sweeps import (
    activations,
    attention,
    dimensions,
    document_terms,
    experts,
    impact_bits,
    length,
    product_quantisation,
    query_terms,
    soup,
    vector_bits,
    weights,
)
from evaluations.sparsity.sweeps.base import Sweep

SWEEPS: Mapping[str, Sweep] = {
    "document-terms": document_terms.SWEEP,
    "query-terms": query_terms.SWEEP,
    "impact-bits": impact_bits.SWEEP,
    "dimensions": dimensions.SWEEP,
    "vector-bits": vector_bits.SWEEP,
    "product-quantisation": product_quantisation.SWEEP,
    "weights": weights.SWEEP,
    "activations": activations.SWEEP,
    "attention": attention.SWEEP,
    "experts": experts.SWEEP,
    "length": length.SWEEP,
    "soup": soup.SWEEP,
}
