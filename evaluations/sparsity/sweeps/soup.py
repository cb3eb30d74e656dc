"""The average of the submitted checkpoint with others of its architecture."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.base import Altered, Facts, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.checkpoints import PLUS, names_of, place_of
from evaluations.systems.abilities import encodes
from evaluations.systems.locations import checksum


@contextmanager
def _averaged(subject: Subject, value: str) -> Iterator[Altered]:
    from evaluations.sparsity.sweeps.averaging import averaged  # here, since it brings torch
    from evaluations.sparsity.sweeps.matrices import zeros

    others = [_loaded(subject, name) for name in names_of(value)]
    with ExitStack() as stack:
        stack.enter_context(averaged(subject.module, [other.encoder.module for other in others]))
        none, parameters = zeros(subject.module.parameters())
        facts = Facts(1 + len(others), None, {"weight_zeros_share": none / parameters})
        made_of = PLUS.join(checksum(other.files) for other in others)
        yield Altered(subject.system, lambda: facts, made_of=made_of)


def _loaded(subject: Subject, name: str) -> Any:
    """The checkpoint's system. What is wrong with it is said under its name: its place may be a worker's."""
    location, revision = place_of(subject.checkpoints.get(name, name))
    try:
        system = subject.load(replace(subject.spec, location=location, revision=revision))
    except EvaluationError as error:
        said = error.message.replace(location, name) if name in subject.checkpoints else error.message
        raise EvaluationError(error.code, f"checkpoint {name}: {said}") from error
    if not encodes(system):
        raise EvaluationError("SWEEP-KIND", "only systems with a model are averaged")
    return system


def _unmodified(subject: Subject) -> Facts:
    from evaluations.sparsity.sweeps.matrices import zeros

    none, parameters = zeros(subject.module.parameters())
    return Facts(1, None, {"weight_zeros_share": none / parameters})


SWEEP = Sweep(
    name="soup",
    title="Averaged checkpoints",
    help="The mean of the submitted checkpoint's parameters with those of others of its architecture. A zero "
    "that all of them share stays.",
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
