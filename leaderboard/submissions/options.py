"""A kind's options as form or REST sent them, checked and filled in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from evaluations.errors import EvaluationError
from evaluations.systems import Kind, Option
from evaluations.systems.base import Value
from evaluations.systems.devices import submitted_precision
from leaderboard.submissions import texts
from leaderboard.submissions.refusals import Problems

MAX_OPTION_CHARACTERS = 2000
OPTIONS = "options"


@dataclass
class CheckedOptions:
    """`values`: every option that could be read. `problems`: (option or `OPTIONS`, message)."""

    values: dict[str, Value] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)


def checked(
    kind: Kind, given: Mapping[str, object], *, located: bool = False, device: str = "cpu"
) -> CheckedOptions:
    """Every option of the kind: as given, else its default. A form gives texts, REST gives JSON values.

    `located`: a model is named for a kind that can do without. `device`: where it is to run.
    """
    found = CheckedOptions()
    for name in given:
        if kind.option(name) is None:
            there = ", ".join(option.name for option in kind.options) or "none"
            found.problems.append((OPTIONS, f"{kind.title} has no option {name[:60]!r}; it has: {there}."))
    for option in kind.options:
        try:
            found.values[option.name] = kind.value_of(option, _read(option, given, device), located)
        except OverflowError:  # JSON has numbers that no float can hold
            found.problems.append((option.name, f"option {option.name} is too large."))
        except EvaluationError as error:
            found.problems.append((option.name, error.message))
        else:
            found.problems += [(option.name, problem) for problem in _text_problems(option, found.values)]
    return found


def check_form(kind: Kind, form: str, values: Mapping[str, Value], problems: Problems) -> None:
    """What is wrong with options for the model that was found: `form` as its inspection names it."""
    for error in kind.option_problems(form, values):
        problems.add(field_of(about(kind, error)), error.message)


def about(kind: Kind, error: EvaluationError) -> str:
    """The option that a refusal of several options together begins with, else `OPTIONS`."""
    name = error.message.partition(":")[0].removeprefix("option ")
    return name if kind.option(name) else OPTIONS


def field_of(name: str) -> str:
    """Where a problem of an option, or of `OPTIONS`, is said."""
    return name if name == OPTIONS else option_field(name)


def option_field(name: str) -> str:
    """The form's field for an option of a kind."""
    return f"option-{name}"


def _read(option: Option, given: Mapping[str, object], device: str) -> Mapping[str, object]:
    """`auto` becomes a name here, since a row must not depend on the machine that reads it."""
    value = given.get(option.name)
    if value in option.resolved:
        return {option.name: submitted_precision(device)}
    is_text = isinstance(value, str) and option.type != "str"
    return {option.name: option.parsed(str(value))} if is_text else given


def _text_problems(option: Option, values: Mapping[str, Value]) -> Iterator[str]:
    value = values[option.name]
    if isinstance(value, str) and (problem := texts.problem_of(value, MAX_OPTION_CHARACTERS)):
        yield f"option {option.name} {problem}"
