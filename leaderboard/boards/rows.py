"""Rows of a leaderboard as values, and what is done with them without a database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from leaderboard.submissions.models import State

from .metrics import PRIMARY, Group, describe, ordered

DEFAULT_ORDER = "-average"


@dataclass(frozen=True)
class Row:
    """One row of a leaderboard, unrounded. `rank`: the place on the whole board, None without an average.

    `cells` has the primary metric, or None, for every column; `reasons` says in a phrase why, for each None.
    `host`: the profile of the machine that timed it; `conditions`, with the key `times`: of its times.
    `metrics` has only what may be ranked beside the times that are shown; `missing` says why of each left
    out, `untimed` of times that its results do not know.
    `done` of `total` datasets have their retrieval results.
    """

    rank: int | None
    system_id: UUID
    system: str
    family: str
    organisation: str
    licence: str
    revision_id: UUID
    revision: str
    kind: str
    location: str
    options: Mapping[str, Any]
    submission_id: UUID
    average: float | None
    cells: Mapping[str, float | None]
    reasons: Mapping[str, str]
    metrics: Mapping[str, float]
    host: str
    state: State
    done: int
    total: int
    updated_at: datetime
    times: str = ""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    untimed: str = ""

    @property
    def device(self) -> str:
        """On which it was timed; empty where it was not, or on several."""
        return str(self.conditions.get("device", ""))

    @property
    def is_looped(self) -> bool:
        """Whether a session timed some queries more than once, since there are too few."""
        return bool(self.conditions.get("looped"))

    @property
    def precision(self) -> str:
        return str(self.options.get("precision") or "")

    @property
    def average_reason(self) -> str:
        """Why there is no average; empty where there is one."""
        if self.average is not None:
            return ""
        phrases = [f"{column} {reason}" for column, reason in self.reasons.items()]
        shown = ", ".join(phrases[:3]) + (f" and {len(phrases) - 3} more" if len(phrases) > 3 else "")
        return f"No average: {self.done} of {self.total} datasets done ({shown})"

    def reason(self, name: str) -> str:
        """Why `value` is None."""
        if name == "average":
            return self.average_reason
        if name in self.cells:
            return self.reasons.get(name, "has no value")
        why = self.untimed if describe(name).group is Group.LATENCY else ""
        return self.missing.get(name) or why or "not measured on every dataset of this board"

    def value(self, name: str) -> float | None:
        """Of `average`, a column or a metric."""
        if name == "average":
            return self.average
        return self.cells[name] if name in self.cells else self.metrics.get(name)


def sort(rows: Iterable[Row], order: str = DEFAULT_ORDER) -> list[Row]:
    """By `rank`, `system`, `average`, a column or a metric; with `-` before it, descending.

    Rows without a value come last either way. Equal ones keep the order they came in.
    """
    name = order.removeprefix("-")
    listed = list(rows)
    have = [row for row in listed if _sort_key(row, name) is not None]
    have.sort(key=lambda row: _sort_key(row, name), reverse=order.startswith("-"))
    return have + [row for row in listed if _sort_key(row, name) is None]


def _sort_key(row: Row, name: str) -> Any:
    if name == "system":
        return row.system.casefold()
    return row.rank if name == "rank" else row.value(name)


def metric_names(rows: Iterable[Row]) -> list[str]:
    """Every metric that any of the rows has, in the registry's order."""
    return [metric.name for metric in ordered({name for row in rows for name in row.metrics})]


def best(rows: Iterable[Row], names: Iterable[str]) -> dict[str, float]:
    """The best value of each name, where one direction is better and the rows differ."""
    listed = list(rows)
    found: dict[str, float] = {}
    for name in names:
        values = {value for row in listed if (value := row.value(name)) is not None}
        higher = describe(PRIMARY if name == "average" or _is_cell(listed, name) else name).higher_is_better
        if len(values) > 1 and higher is not None:
            found[name] = max(values) if higher else min(values)
    return found


def _is_cell(rows: list[Row], name: str) -> bool:
    return any(name in row.cells for row in rows)
