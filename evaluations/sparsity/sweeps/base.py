"""The words that every sweep shares: what may be varied, with which values, on which kinds of systems.

Adding a sweep is one file that ends in a `Sweep`, and one line in `SWEEPS`. Form, REST and command line read
this declaration; nothing here imports torch, and a change does so only when it is made.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from evaluations.errors import EvaluationError
from evaluations.sparsity.sweeps.vectors import Encoded
from evaluations.systems.base import System, SystemSpec

ValueType = Literal["integer", "pattern", "checkpoint"]
Sides = Literal["both", "documents", "queries"]

VERSION = 1  # raise it when a change of a model, below, gives other vectors: kept ones are of the old
SEED = 0  # of all that a sweep draws: the same request gives the same points

MOST_VALUES = 20  # on one curve
MOST_TEXT = 300  # characters of a value
_PATTERN = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)")
_CHECKPOINTS = re.compile(r"[^\s,=+]+(\+[^\s,=+]+)*")


@dataclass(frozen=True)
class Values:
    """Which values a curve takes, and which it has where none are given.

    `unmodified`: the value that changes nothing, where there is one; every curve has that point anyway.
    `sparser`: whether a smaller or a greater value makes the system sparser; a curve is in that order.
    """

    type: ValueType
    default: tuple[str, ...]
    minimum: int = 1
    maximum: int = 1_000_000
    unmodified: str | None = None
    sparser: Literal["smaller", "greater"] = "smaller"

    @property
    def help(self) -> str:
        if self.type == "pattern":
            return "patterns N:M such as 2:4, at most N of M consecutive inputs kept"
        if self.type == "checkpoint":
            return "checkpoints ORG/NAME@REVISION, joined by + where several are averaged at once"
        return f"whole numbers from {self.minimum:,} to {self.maximum:,}"

    def ordered(self, values: Iterable[str]) -> tuple[str, ...]:
        """The least sparse first; checkpoints stay as they were asked for."""
        if self.type == "checkpoint":
            return tuple(values)
        return tuple(sorted(values, key=self._sparsity))

    def _sparsity(self, value: str) -> float:
        if self.type == "pattern":
            kept, of = value.split(":")
            return 1.0 - int(kept) / int(of)
        return float(value) if self.sparser == "greater" else -float(value)

    def checked(self, text: str) -> str:
        """The value in its one spelling. Raises ValueError saying what is allowed."""
        text = text.strip()
        if self.type == "pattern":
            return _checked_pattern(text)
        if self.type == "checkpoint":
            return _checked_checkpoints(text)
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise ValueError(f"{text[:60]!r} is no whole number")
        if not self.minimum <= int(text) <= self.maximum:
            raise ValueError(f"{int(text):,} must be from {self.minimum:,} to {self.maximum:,}")
        return str(int(text))


def _checked_pattern(text: str) -> str:
    found = _PATTERN.fullmatch(text)
    if found is None or not int(found[1]) < int(found[2]) <= 64:
        raise ValueError(f"{text[:60]!r} is no pattern N:M with N below M and M at most 64, such as 2:4")
    return text


def _checked_checkpoints(text: str) -> str:
    if not _CHECKPOINTS.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is no checkpoint; write ORG/NAME@REVISION")
    if len(text) > MOST_TEXT:
        advice = "give checkpoints short names by --checkpoint"
        raise ValueError(f"{text[:60]!r}... has more than {MOST_TEXT} characters; {advice}")
    return text


@dataclass(frozen=True)
class Facts:
    """What a change says of itself.

    `axis`: where its point stands on the curve's axis. `level`: the share of what was there that is gone, 0
    for the unmodified system and below 1, by which points are ordered; None where nothing becomes sparser.
    `metrics`: what only the change knows, such as the share of weights that are zero.
    """

    axis: float
    level: float | None
    metrics: Mapping[str, float | int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ChangedVectors:
    encoded: Encoded
    facts: Facts


@dataclass(frozen=True)
class Altered:
    """A system to encode with again. `facts` is asked once the texts are encoded.

    `looks_on`: the facts are counted while it encodes, so that no text may be left out. `made_of`: what is
    to stand for the value where vectors are kept, since the same value may mean other models another day.
    """

    system: System
    facts: Callable[[], Facts]
    looks_on: bool = False
    made_of: str = ""


class Subject(Protocol):
    """The unmodified system, loaded, with what it made of the dataset."""

    @property
    def system(self) -> System: ...

    @property
    def spec(self) -> SystemSpec: ...

    @property
    def checkpoints(self) -> Mapping[str, str]:
        """Where those checkpoints are that values call by a name: ORG/NAME[@REVISION] or a folder."""

    @property
    def encoded(self) -> Encoded:
        """Raises EvaluationError `SWEEP-KIND` where the system keeps no vectors."""

    @property
    def module(self) -> Any:
        """The torch module inside. Raises EvaluationError `SWEEP-KIND` where there is none."""

    def load(self, spec: SystemSpec) -> System:
        """Another system, on the same device."""


VectorChange = Callable[[Encoded, str], ChangedVectors]
# Inside, the system is another one; afterwards it is as before.
ModelChange = Callable[[Subject, str], AbstractContextManager[Altered]]


@dataclass(frozen=True)
class Variant:
    """One way of a sweep, with a curve of its own: `vectors` changes what was encoded, `model` what encodes.

    `sides`: which texts another model is for; the others keep the unmodified system's vectors. The first
    variant of a sweep is meant where none is named.
    """

    name: str
    title: str
    help: str
    values: Values
    vectors: VectorChange | None = None
    model: ModelChange | None = None
    sides: Sides = "both"
    is_baseline: bool = False


@dataclass(frozen=True)
class Sweep:
    """A curve of operating points that can be asked for.

    `kinds`: of the systems it fits. `axis` says what is varied, `unit` in which unit; `share` is shown in
    percent. `unmodified` tells where the unmodified system stands. `is_logarithmic`: how the axis is best
    drawn. `has_knee`: whether its levels are levels of sparsity.
    """

    name: str
    title: str
    help: str
    source: str
    kinds: tuple[str, ...]
    axis: str
    unit: str
    variants: tuple[Variant, ...]
    unmodified: Callable[[Subject], Facts]
    is_logarithmic: bool = False
    has_knee: bool = True

    @property
    def encodes_again(self) -> bool:
        return any(variant.model for variant in self.variants)

    def variant(self, name: str) -> Variant:
        """Raises EvaluationError `SWEEP-VARIANT`; the empty name means the first."""
        for variant in self.variants:
            if variant.name == (name or self.variants[0].name):
                return variant
        allowed = ", ".join(variant.name for variant in self.variants)
        raise EvaluationError(
            "SWEEP-VARIANT", f"sweep {self.name} has no variant {name[:40]!r}; it has: {allowed}"
        )
