"""The average of several models' parameters, in place. Importing this brings torch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from evaluations.errors import EvaluationError


@contextmanager
def averaged(module: nn.Module, others: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, each parameter is the mean of its values in all the models; afterwards what it was.

    The mean of zeros is zero, so the zero pattern that the models share stays. Raises EvaluationError
    `SWEEP-POINT` where the models do not have the same parameters.
    """
    own = dict(module.named_parameters())
    for number, other in enumerate(others, start=1):
        _require_alike(own, dict(other.named_parameters()), number)
    before = {name: parameter.detach().clone() for name, parameter in own.items()}
    try:
        with torch.no_grad():
            for name, parameter in own.items():
                total = parameter.detach().double().clone()
                for other in others:
                    total += other.get_parameter(name).to(total.device).double()
                parameter.copy_(total / (1 + len(others)))
        yield
    finally:
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(before[name])


def _require_alike(own: dict[str, nn.Parameter], other: dict[str, nn.Parameter], number: int) -> None:
    for name in own.keys() | other.keys():
        if name not in own or name not in other or own[name].shape != other[name].shape:
            problem = f"checkpoint {number} has another {name}: only models of one architecture are averaged"
            raise EvaluationError("SWEEP-POINT", problem)
