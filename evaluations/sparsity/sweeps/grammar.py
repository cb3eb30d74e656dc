"""From the text that a person writes to a checked sweep: `NAME[:VARIANT][=VALUE,VALUE...]`.

`weights=10,20,50`, `weights:random=10,20`, `weights:nm=2:4,4:8`, `document-terms`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.base import MOST_VALUES, Sweep, Variant
from evaluations.sparsity.sweeps.registry import SWEEPS

MOST_POINTS = 60  # that one request may ask for
MOST_CHARACTERS = 4000


@dataclass(frozen=True)
class Curve:
    """A sweep that was asked for: one variant with its values, the least sparse first."""

    sweep: Sweep
    variant: Variant
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        """`weights`, or `weights:random` for another than the first variant."""
        first = self.sweep.variants[0].name
        return self.sweep.name if self.variant.name == first else f"{self.sweep.name}:{self.variant.name}"

    @property
    def folder(self) -> str:
        return self.name.replace(":", "-")

    def __str__(self) -> str:
        """As `--sweep` takes it, every value written; with none left, the one that changes nothing."""
        return f"{self.name}={','.join(self.values) or self.variant.values.unmodified}"


def parse_sweeps(texts: Iterable[str], kind: str) -> tuple[Curve, ...]:
    """The curves of several `--sweep` texts for a kind of system, each at most once.

    Raises EvaluationError `SWEEP-UNKNOWN`, `SWEEP-VARIANT`, `SWEEP-KIND`, `SWEEP-VALUE` or `SWEEP-TWICE`.
    """
    curves = tuple(parse_sweep(text, kind) for text in texts)
    names = [curve.name for curve in curves]
    for name in names:
        if names.count(name) > 1:
            raise EvaluationError("SWEEP-TWICE", f"sweep {name} is asked for twice; write all values once")
    points = sum(len(curve.values) for curve in curves)
    if points > MOST_POINTS:
        problem = f"{points} points are asked for; one request may have {MOST_POINTS}"
        raise EvaluationError("SWEEP-VALUE", f"{problem}; leave values out or ask for fewer sweeps")
    return curves


def parse_sweep(text: str, kind: str) -> Curve:
    """One curve. Raises EvaluationError as `parse_sweeps` does."""
    if len(text) > MOST_CHARACTERS:
        raise EvaluationError("SWEEP-VALUE", f"a sweep is written in at most {MOST_CHARACTERS:,} characters")
    name, _, written = text.strip().partition("=")
    name, _, variant_name = name.partition(":")
    sweep = sweep_of(name.strip())
    variant = sweep.variant(variant_name.strip())
    require_kind(sweep, kind)
    return Curve(sweep, variant, _values(sweep, variant, written))


def sweep_of(name: str) -> Sweep:
    """Raises EvaluationError `SWEEP-UNKNOWN` with the sweeps that there are."""
    if name not in SWEEPS:
        raise EvaluationError("SWEEP-UNKNOWN", f"no sweep {name[:60]!r}; there are: {', '.join(SWEEPS)}")
    return SWEEPS[name]


def require_kind(sweep: Sweep, kind: str) -> None:
    """Raises EvaluationError `SWEEP-KIND` where the sweep does not fit the kind of system."""
    if kind in sweep.kinds:
        return
    fitting = [other.name for other in SWEEPS.values() if kind in other.kinds]
    offer = f"{kind} takes: {', '.join(fitting)}" if fitting else f"{kind} takes none"
    problem = f"sweep {sweep.name} is of {_listed(sweep.kinds)}, not of {kind}"
    raise EvaluationError("SWEEP-KIND", f"{problem}; {offer}")


def sweeps_for(kind: str) -> tuple[Sweep, ...]:
    return tuple(sweep for sweep in SWEEPS.values() if kind in sweep.kinds)


def _values(sweep: Sweep, variant: Variant, written: str) -> tuple[str, ...]:
    """Each value once. The one that changes nothing is left out: every curve has that point."""
    asked = written.split(",") if written.strip() else variant.values.default
    if not asked:
        raise _refused(sweep, variant, "needs values")
    try:
        checked = [
            text.strip() if text.strip() == variant.values.unmodified else variant.values.checked(text)
            for text in asked
        ]
    except ValueError as error:
        raise _refused(sweep, variant, str(error)) from error
    distinct = [value for value in dict.fromkeys(checked) if value != variant.values.unmodified]
    values = variant.values.ordered(distinct)
    if len(values) > MOST_VALUES:
        raise _refused(sweep, variant, f"{len(values)} values are more than {MOST_VALUES}")
    return values


def _refused(sweep: Sweep, variant: Variant, problem: str) -> EvaluationError:
    name = Curve(sweep, variant, ()).name
    return EvaluationError("SWEEP-VALUE", f"sweep {name}: {problem}; it takes {variant.values.help}")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
