"""What the model behind a system is made of."""

from .kinds import Across, Group, Metric, Style

METRICS = (
    Metric(
        "parameters",
        "Parameters",
        Group.COST,
        Style.COUNT,
        False,
        Across.SAME,
        "All parameters of the model; 0 without one",
    ),
    Metric(
        "active_parameters",
        "Active params",
        Group.COST,
        Style.COUNT,
        False,
        Across.SAME,
        "Parameters used for one token",
    ),
    Metric(
        "query_active_parameters",
        "Query params",
        Group.COST,
        Style.COUNT,
        False,
        Across.SAME,
        "Parameters used for one token of a query; 0 where encoding is a look-up",
    ),
    Metric(
        "weight_zeros_share",
        "Weight zeros",
        Group.SPARSITY,
        Style.PERCENT,
        None,
        Across.SAME,
        "Share of prunable weights that are zero",
    ),
)
