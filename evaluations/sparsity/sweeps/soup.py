"""The average of the submitted checkpoint with others of its architecture."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.base import Altered, Facts, Subject, Sweep, Values, Variant
from evaluations.systems.abilities import encodes

PLUS = "+"


def checkpoints(value: str) -> list[tuple[str, str | None]]:
    """(location, revision or None) of each checkpoint of a value."""
    places = [place.partition("@") for place in value.split(PLUS)]
    return [(location, revision or None) for location, _, revision in places]


@contextmanager
def _averaged(subject: Subject, value: str) -> Iterator[Altered]:
    from evaluations.sparsity.sweeps.averaging import averaged  # here, since it brings torch
    from evaluations.sparsity.sweeps.matrices import zeros

    others = [_module(subject, *checkpoint) for checkpoint in checkpoints(value)]
    with ExitStack() as stack:
        stack.enter_context(averaged(subject.module, others))
        none, parameters = zeros(subject.module.parameters())
        facts = Facts(1 + len(others), None, {"weight_zeros_share": none / parameters})
        yield Altered(subject.system, lambda: facts)


def _module(subject: Subject, location: str, revision: str | None) -> Any:
    system = subject.load(replace(subject.spec, location=location, revision=revision))
    if not encodes(system):
        raise EvaluationError("SWEEP-KIND", "only systems with a model are averaged")
    return system.encoder.module


def _unmodified(subject: Subject) -> Facts:
    from evaluations.sparsity.sweeps.matrices import zeros

    none, parameters = zeros(subject.module.parameters())
    return Facts(1, None, {"weight_zeros_share": none / parameters})


SWEEP = Sweep(
    name="soup",
    title="Averaged checkpoints",
    help="The mean of the submitted checkpoint's parameters with those of others of its architecture. A zero "
    "that all of them share stays. A value names them, joined by +, as in ORG/ONE+ORG/TWO@REVISION.",
    source="Wortsman et al. 2022; sparse soups: Zimmer et al. 2024",
    kinds=("dense", "sparse", "late-interaction"),
    axis="checkpoints averaged",
    unit="checkpoints",
    variants=(
        Variant(
            "uniform", "Uniform average", "Every checkpoint counts the same.",
            Values("checkpoint", ()), model=_averaged,
        ),
    ),
    unmodified=_unmodified,
    has_knee=False,
)  # fmt: skip
