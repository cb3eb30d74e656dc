"""Sweeps of operating points as part of a submission: what is offered, what was asked, how long it takes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import forms

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps import Curve, parse_sweep, parse_sweeps, sweeps_for
from evaluations.systems import Kind
from leaderboard.submissions import checkpoints
from leaderboard.submissions.earlier import Offered
from leaderboard.submissions.refusals import Problems

FIELD = "sweeps"  # of REST, and of what is wrong with all of them together


def offered(kind: Kind) -> tuple[Curve, ...]:
    """Every curve that fits the kind, with its default values."""
    return tuple(
        Curve(sweep, variant, variant.values.default)
        for sweep in sweeps_for(kind.name)
        for variant in sweep.variants
    )


def averages(kind: Kind) -> bool:
    """Whether a curve of the kind names other submissions."""
    return any(checkpoints.are_named_by(curve) for curve in offered(kind))


def takes(curve: Curve) -> str:
    """Its values in words: on the web, checkpoints are submissions."""
    return checkpoints.TAKES if checkpoints.are_named_by(curve) else curve.variant.values.help


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


def form_fields(kind: Kind, listed: Iterable[Offered] = ()) -> dict[str, forms.Field]:
    """For each curve a check box, and its values with the defaults in them. `listed`: checkpoints."""
    fields: dict[str, forms.Field] = {}
    for curve in offered(kind):
        fields[box(curve)] = forms.BooleanField(
            required=False, label=curve.variant.title, help_text=curve.variant.help
        )
        fields[values_input(curve)] = forms.CharField(
            required=False,
            label=f"Values of {curve.sweep.title}, {curve.variant.title}",
            initial=", ".join(curve.values),
            help_text=f"{takes(curve)[0].upper()}{takes(curve)[1:]}.",
        )
    return fields | (checkpoints.form_fields(list(listed)) if averages(kind) else {})


def asked_in(kind: Kind, sent: Mapping[str, Any]) -> tuple[str, ...]:
    """The curves whose box is checked, as REST would have named them; no values are the default ones."""
    return tuple(
        f"{curve.name}={','.join(_values_in(curve, sent))}" for curve in offered(kind) if sent.get(box(curve))
    )


def left_out(kind: Kind, sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, message) where checkpoints are given and their curve's box is not checked.

    Other curves have values from the start; these are there because somebody put them there.
    """
    for curve in offered(kind):
        if checkpoints.are_named_by(curve) and not sent.get(box(curve)) and _values_in(curve, sent):
            advice = f"check {curve.variant.title} to ask for the curve, or leave them out"
            yield values_input(curve), f"Checkpoints are given, and their curve is not asked for; {advice}."


def _values_in(curve: Curve, sent: Mapping[str, Any]) -> list[str]:
    """Those that are written, then those that lists say."""
    listed = checkpoints.values_in(sent) if checkpoints.are_named_by(curve) else ""
    return [values for values in (sent.get(values_input(curve)), listed) if values]


def _checked(kind: Kind, text: str, problems: Problems) -> Curve | None:
    name, _, values = text.partition("=")
    curve = _curve_named(kind, name.strip())
    field = values_input(curve) if curve else FIELD
    if curve and checkpoints.are_named_by(curve):
        values = checkpoints.checked(kind, values, field, problems)
        if not values:
            return None
        text = f"{curve.name}={values}"
    try:
        return parse_sweep(text, kind.name)
    except EvaluationError as error:
        problems.add(field, f"{error.message}.")
        return None


def _curve_named(kind: Kind, name: str) -> Curve | None:
    """That of the kind, where it has one; `soup` and `soup:uniform` are the same."""
    for curve in offered(kind):
        if name in (curve.name, f"{curve.sweep.name}:{curve.variant.name}"):
            return curve
    return None
