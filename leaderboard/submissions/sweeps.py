"""Sweeps of operating points as part of a submission: what is offered, what was asked, how long it takes."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps import Curve, parse_sweep, parse_sweeps, sweeps_for
from evaluations.systems import Kind
from leaderboard.submissions.refusals import Problems

FIELD = "sweeps"  # of REST, and of what is wrong with all of them together
# Its values are places of other models, which would have to be pinned and fetched as the system's own is.
ON_THE_COMMAND_LINE = ("soup",)


def offered(kind: Kind) -> tuple[Curve, ...]:
    """Every curve that fits the kind, with its default values."""
    return tuple(
        Curve(sweep, variant, variant.values.default)
        for sweep in sweeps_for(kind.name)
        if sweep.name not in ON_THE_COMMAND_LINE
        for variant in sweep.variants
    )


def check(kind: Kind, asked: Iterable[str], problems: Problems) -> tuple[str, ...]:
    """Each curve in its one spelling. What is wrong with one goes to its own field, where it has one."""
    curves = [curve for text in asked if (curve := _checked(kind, text, problems))]
    if problems:
        return ()
    try:
        return tuple(str(curve) for curve in parse_sweeps(map(str, curves), kind.name))
    except EvaluationError as error:
        problems.add(FIELD, f"{error.message}.")
        return ()


def workload(kind: str, asked: Iterable[str]) -> int:
    """How many plain evaluations one with these curves amounts to: itself, and each point that encodes again.

    Points that only change vectors take no time that would count.
    """
    curves = parse_sweeps(asked, kind)
    return 1 + sum(len(curve.values) for curve in curves if curve.variant.model is not None)


def box(curve: Curve) -> str:
    """The form's check box for a curve."""
    return f"sweep-{curve.name}"


def values_input(curve: Curve) -> str:
    return f"sweep-values-{curve.name}"


def form_fields(kind: Kind) -> dict[str, forms.Field]:
    """For each curve a check box, and its values with the defaults in them."""
    fields: dict[str, forms.Field] = {}
    for curve in offered(kind):
        fields[box(curve)] = forms.BooleanField(
            required=False, label=curve.variant.title, help_text=curve.variant.help
        )
        fields[values_input(curve)] = forms.CharField(
            required=False,
            label=f"Values of {curve.sweep.title}, {curve.variant.title}",
            initial=", ".join(curve.values),
            help_text=f"{curve.variant.values.help[0].upper()}{curve.variant.values.help[1:]}.",
        )
    return fields


def asked_in(kind: Kind, sent: Mapping[str, Any]) -> tuple[str, ...]:
    """The curves whose box is checked, as REST would have named them; no values are the default ones."""
    return tuple(
        f"{curve.name}={sent.get(values_input(curve)) or ''}"
        for curve in offered(kind)
        if sent.get(box(curve))
    )


def _checked(kind: Kind, text: str, problems: Problems) -> Curve | None:
    name = text.partition("=")[0].strip()
    if name.partition(":")[0] in ON_THE_COMMAND_LINE:
        problems.add(FIELD, f"sweep {name[:60]} is made on the command line only.")
        return None
    try:
        return parse_sweep(text, kind.name)
    except EvaluationError as error:
        problems.add(_field_of(kind, name), f"{error.message}.")
        return None


def _field_of(kind: Kind, name: str) -> str:
    """The input with the values, where the kind has such a curve."""
    return next((values_input(curve) for curve in offered(kind) if curve.name == name), FIELD)
