"""Attention that sees some of the keys: those near by, or those of the greatest scores."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.base import Altered, Facts, Subject, Sweep, Values, Variant
from evaluations.sparsity.sweeps.lengths import length_of

KEYS = Values("integer", ("4", "8", "16", "32", "64"), 1, 131_072)


@contextmanager
def _seen(subject: Subject, value: str, *, near: bool) -> Iterator[Altered]:
    from evaluations.sparsity.sweeps.sparse_attention import (
        some_keys,
        top,
        window,
    )  # here, since it brings torch

    keys = int(value)
    with some_keys(subject.module, window(keys) if near else top(keys)) as counts:

        def facts() -> Facts:
            if not counts.calls:
                raise EvaluationError("SWEEP-POINT", "this architecture's attention cannot be replaced")
            return Facts(keys, counts.left_out, {"attention_left_out_share": counts.left_out})

        yield Altered(subject.system, facts, looks_on=True)


def _top(subject: Subject, value: str) -> Any:
    return _seen(subject, value, near=False)


def _window(subject: Subject, value: str) -> Any:
    return _seen(subject, value, near=True)


def _unmodified(subject: Subject) -> Facts:
    return Facts(length_of(subject.system, "document"), 0.0)


SWEEP = Sweep(
    name="attention",
    title="Keys that attention sees",
    help="Each token attends to some of the keys only, in every head and layer.",
    source="top-k: Gupta et al. 2021; window: Beltagy, Peters and Cohan 2020, without global tokens",
    kinds=("dense", "sparse", "late-interaction"),
    axis="keys seen",
    unit="keys",
    variants=(
        Variant(
            "top", "Greatest scores", "The k keys of the greatest scores of each head.", KEYS, model=_top
        ),
        Variant("window", "Near by", "Keys at most k tokens before or after.", KEYS, model=_window),
    ),
    unmodified=_unmodified,
    is_logarithmic=True,
)
