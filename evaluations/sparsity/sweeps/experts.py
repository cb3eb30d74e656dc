"""Fewer experts, or more, for each token of a mixture."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evaluations.sparsity.sweeps.base import Altered, Facts, Subject, Sweep, Values, Variant


@contextmanager
def _routed(subject: Subject, value: str) -> Iterator[Altered]:
    from evaluations.sparsity.sweeps.routing import mixture, routed  # here, since it brings torch

    found = mixture(subject.module)
    with routed(found, int(value)):
        yield Altered(subject.system, lambda: _facts(subject.module, found, int(value)))


def _facts(module: Any, found: Any, experts: int) -> Facts:
    from evaluations.sparsity.sweeps.routing import active_parameters

    active = active_parameters(module, found, experts)
    metrics = {"experts_per_token": experts, "active_parameters": active}
    return Facts(experts, 1.0 - experts / found.routed, metrics)


def _unmodified(subject: Subject) -> Facts:
    from evaluations.sparsity.sweeps.routing import mixture

    found = mixture(subject.module)
    return _facts(subject.module, found, found.routed)


SWEEP = Sweep(
    name="experts",
    title="Experts a token",
    help="A mixture of experts asks k experts for each token, in every layer.",
    source="Shazeer et al. 2017; Jiang et al. 2024",
    kinds=("dense", "sparse", "late-interaction"),
    axis="experts a token",
    unit="experts",
    variants=(
        Variant(
            "routed", "Experts routed", "The k experts that the router likes best.",
            Values("integer", ("1", "2", "4"), 1, 1024), model=_routed,
        ),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)  # fmt: skip
