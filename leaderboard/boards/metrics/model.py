"""What the model behind a system is made of, what is zero in it, and what a text costs it."""

from functools import partial

from .kinds import Across, Family, Group, Metric, Style

_same = partial(Metric, across=Across.SAME)
_weights = partial(_same, family=Family.WEIGHTS)
_activations = partial(Metric, family=Family.ACTIVATIONS)
_attention = partial(Metric, family=Family.ATTENTION, on_board=False)
_experts = partial(Metric, family=Family.EXPERTS, on_board=False)
_compute = partial(Metric, family=Family.COMPUTE)

METRICS = (
    _weights(
        "parameters", "Parameters", Group.COST, Style.COUNT, False,
        help="All parameters of the model; 0 without one",
    ),
    _weights(
        "active_parameters", "Active params", Group.COST, Style.COUNT, False,
        help="Parameters used for one token: of experts those that it goes to",
    ),
    _weights(
        "query_active_parameters", "Query params", Group.COST, Style.COUNT, False,
        help="Parameters used for one token of a query; 0 where encoding is a look-up",
    ),
    _weights(
        "non_embedding_parameters", "Non-embedding params", Group.COST, Style.COUNT, False, on_board=False,
        help="Parameters without the tables of words, positions and types",
    ),
    _weights(
        "weight_bytes", "Weights on disk", Group.COST, Style.BYTES, False, on_board=False,
        help="Size of the safetensors files",
    ),
    _weights(
        "bits_per_weight", "Bits a weight", Group.COST, Style.NUMBER, False, on_board=False,
        help="As stored, mean",
    ),
    _weights(
        "prunable_zeros_share", "Weight zeros", Group.SPARSITY, Style.PERCENT, None,
        help="Share of prunable weights that are zero",
    ),
    _weights(
        "weight_zeros_share", "Weight zeros, of all", Group.SPARSITY, Style.PERCENT, None, on_board=False,
        help="Share of all parameters that are zero",
    ),
    _weights(
        "prunable_parameters_share", "Prunable", Group.SPARSITY, Style.PERCENT, None, on_board=False,
        help="Share of parameters in the matrices of attention, MLP and experts",
    ),
    _weights(
        "weight_pattern_density", "N:M density", Group.SPARSITY, Style.PERCENT, None, on_board=False,
        help="N over M of the strictest pattern that holds in every prunable matrix",
    ),
    _weights(
        "weight_pattern_matrices_share", "Matrices with N:M", Group.SPARSITY, Style.PERCENT, None,
        on_board=False, help="Share of the prunable matrices in which some N:M pattern holds",
    ),
    _weights(
        "weight_zero_rows_share", "Zero rows", Group.SPARSITY, Style.PERCENT, None, on_board=False,
        help="Share of the prunable matrices' outputs whose weights are all zero",
    ),
    _weights(
        "weight_zero_columns_share", "Zero columns", Group.SPARSITY, Style.PERCENT, None, on_board=False,
        help="Share of the prunable matrices' inputs whose weights are all zero",
    ),
    _weights(
        "weight_zero_heads_share", "Zero heads", Group.SPARSITY, Style.PERCENT, None, on_board=False,
        help="Share of attention heads whose results the output projection does not read",
    ),
    _weights(
        "weight_zero_blocks_share", "Zero blocks", Group.SPARSITY, Style.PERCENT, None, on_board=False,
        help="Share of 32 x 32 blocks of prunable weights that are all zero",
    ),
    _activations(
        "activation_zeros_share", "Activation zeros", Group.SPARSITY, Style.PERCENT, None,
        help="Exact zeros inside the MLPs, on a sample",
    ),
    _activations(
        "activation_near_zeros_share", "Near zeros", Group.SPARSITY, Style.PERCENT, None, on_board=False,
        help="Below a thousandth of the layer's root mean square inside the MLPs, on a sample",
    ),
    _attention(
        "attention_top8_mass_share", "Mass in 8 keys", Group.SPARSITY, Style.PERCENT, None,
        help="Share of a token's attention that its first 8 keys get, on a sample",
    ),
    _attention(
        "attention_small_entries_share", "Entries below 0.001", Group.SPARSITY, Style.PERCENT, None,
        help="Share of the attention's entries that are below 0.001, on a sample",
    ),
    _experts(
        "experts", "Experts", Group.SPARSITY, Style.COUNT, None, Across.SAME, "Experts of a layer"
    ),
    _experts(
        "experts_per_token", "Experts a token", Group.SPARSITY, Style.COUNT, None, Across.SAME,
        "Experts that a token goes to",
    ),
    _experts(
        "expert_load_entropy", "Evenness of load", Group.SPARSITY, Style.NUMBER, None,
        help="Entropy of the experts' load over that of an even one, mean over layers, on a sample",
    ),
    _experts(
        "dead_experts", "Dead experts", Group.SPARSITY, Style.NUMBER, None,
        help="Experts of all layers that no token of the sample went to",
    ),
    _compute(
        "query_compute_flop", "Query compute", Group.COST, Style.OPERATIONS, False,
        help="Operations of encoding a query, mean over a sample",
    ),
    _compute(
        "query_compute_claimed_flop", "Query compute, claimed", Group.COST, Style.OPERATIONS, False,
        on_board=False, help="The same as if every product with a zero were skipped",
    ),
    _compute(
        "document_compute_flop", "Doc compute", Group.COST, Style.OPERATIONS, False,
        help="Operations of encoding a document, mean over a sample",
    ),
    _compute(
        "document_compute_claimed_flop", "Doc compute, claimed", Group.COST, Style.OPERATIONS, False,
        on_board=False, help="The same as if every product with a zero were skipped",
    ),
)  # fmt: skip
