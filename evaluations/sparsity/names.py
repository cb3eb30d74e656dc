"""The metrics that only a model has, by family: importing this brings no torch."""

from evaluations.sparsity.weights import WEIGHT_METRICS
from evaluations.tracks import Findings, not_applicable

ACTIVATION_METRICS = ("activation_zeros_share", "activation_near_zeros_share")
ATTENTION_METRICS = ("attention_top8_mass_share", "attention_small_entries_share")
EXPERT_METRICS = ("experts", "experts_per_token", "expert_load_entropy", "dead_experts")
COMPUTE_METRICS = (
    "query_compute_flop",
    "query_compute_claimed_flop",
    "document_compute_flop",
    "document_compute_claimed_flop",
)
WATCHED_METRICS = (*ACTIVATION_METRICS, *ATTENTION_METRICS, *EXPERT_METRICS, *COMPUTE_METRICS)


def lexical_model() -> Findings:
    """Of a system whose vectors are counts of words: it has no parameter and multiplies no matrix."""
    found = Findings({"parameters": 0, "active_parameters": 0, "non_embedding_parameters": 0})
    found |= Findings(dict.fromkeys(COMPUTE_METRICS, 0))
    within = (*WEIGHT_METRICS, *ACTIVATION_METRICS, *ATTENTION_METRICS, *EXPERT_METRICS)
    return found | not_applicable("there is no model", *within)


def unknown_model(reason: str) -> Findings:
    """Of what was encoded or searched elsewhere."""
    counts = ("parameters", "active_parameters", "non_embedding_parameters")
    return not_applicable(reason, *counts, *WEIGHT_METRICS, *WATCHED_METRICS)
