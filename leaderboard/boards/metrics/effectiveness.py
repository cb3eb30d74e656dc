"""How good: effectiveness, as ir-measures names it."""

from .kinds import Group, Metric, Style

PRIMARY = "nDCG@10"


def _quality(name: str, help: str) -> Metric:
    return Metric(name, name, Group.QUALITY, Style.POINTS, True, help=help)


METRICS = (
    _quality("nDCG@10", "Discounted gain of the first 10, over the best possible"),
    _quality("R@100", "Share of the relevant documents in the first 100"),
    _quality("R@1000", "Share of the relevant documents in the first 1000"),
    _quality("RR@10", "One over the rank of the first relevant document, 0 below rank 10"),
    _quality("AP@1000", "Mean of the precision at each relevant document"),
    _quality("P@10", "Share of the first 10 that is relevant"),
    Metric(
        "Judged@10",
        "Judged@10",
        Group.QUALITY,
        Style.PERCENT,
        None,
        help="Share of the first 10 with a judgement",
    ),
)
