"""The greatest inner activations of each MLP, chosen for each token while encoding; nothing is trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evaluations.sparsity.sweeps.base import Altered, Facts, Subject, Sweep, Values, Variant

SHARES = Values("integer", ("25", "50", "75", "90"), 1, 99, unmodified="0", sparser="greater")


@contextmanager
def _cut(subject: Subject, value: str, *, weighted: bool) -> Iterator[Altered]:
    from evaluations.sparsity.sweeps.inner_activations import top_activations  # here, since it brings torch

    zeroed = int(value) / 100
    with top_activations(subject.module, zeroed, weighted=weighted) as counts:

        def facts() -> Facts:
            return Facts(zeroed, zeroed, {"inner_activation_zeros_share": counts.share})

        yield Altered(subject.system, facts, looks_on=True)


def _magnitude(subject: Subject, value: str) -> Any:
    return _cut(subject, value, weighted=False)


def _weighted(subject: Subject, value: str) -> Any:
    return _cut(subject, value, weighted=True)


def _unmodified(_: Subject) -> Facts:
    return Facts(0.0, 0.0)


SWEEP = Sweep(
    name="activations",
    title="Inner activations set to zero",
    help="While texts are encoded, each token keeps only the greatest of the activations that an MLP's last "
    "matrix reads. Values are the percent set to zero.",
    source="magnitude: Liu et al. 2025 (TEAL); weighted by column norms: Chen et al. 2025 (WINA)",
    kinds=("dense", "sparse", "late-interaction"),
    axis="share of inner activations set to zero",
    unit="share",
    variants=(
        Variant("magnitude", "By magnitude", "The greatest |h| of a token.", SHARES, model=_magnitude),
        Variant(
            "weighted", "Weighted by column norms", "The greatest |h| times the length of what reads it.",
            SHARES, model=_weighted,
        ),
    ),
    unmodified=_unmodified,
)  # fmt: skip
