"""What only operating points have: how far a change went."""

from .kinds import Across, Group, Metric, Style


def _share(name: str, label: str, help: str) -> Metric:
    return Metric(name, label, Group.SPARSITY, Style.PERCENT, None, Across.SAME, help)


METRICS = (
    Metric(
        "query_speedup_realised", "Speed-up", Group.LATENCY, Style.TIMES, True, Across.SAME,
        "Times as fast as the unmodified system: the quotient of their ratios to the same references",
        on_board=False,
    ),
    Metric(
        "query_flop_removed_share", "Operations removed", Group.LATENCY, Style.PERCENT, None, Across.SAME,
        "Of a query's, if every product with a zero were skipped: what the speed-up is held against",
        on_board=False,
    ),
    _share("prunable_zeros_share", "Prunable zeros", "Zeros among the weights of attention and MLPs"),
    _share("inner_activation_zeros_share", "Inner zeros", "Zeros among what the MLPs' last matrices read"),
    _share("attention_left_out_share", "Attention left out", "Pairs of token and key left out, real tokens"),
    Metric(
        "experts_per_token", "Experts a token", Group.SPARSITY, Style.COUNT, None, Across.SAME,
        "Experts asked for each token",
    ),
)  # fmt: skip
