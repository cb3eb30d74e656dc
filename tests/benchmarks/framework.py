"""What a bench is and what it gives to the page."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """What was to be reached, what was measured, as a person reads it, and whether that is enough."""

    name: str
    reach: str
    measured: str
    met: bool


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One bench's part of the page. `versions`: of whatever took part. `notes` are sentences."""

    title: str
    intro: str
    tables: tuple[Table, ...]
    targets: tuple[Target, ...]
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """`quick` is for trying a bench out: small data, few rounds. Its figures are not for the page."""

    quick: bool
    rounds: int


@dataclass(frozen=True)
class Bench:
    name: str
    run: Callable[[Size], Section]
