"""The sparsity profile on a system's page: metrics by family, and what a report tells by layer.

A report was written by the process that ran a submitted model: whatever has another type than it should is
left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

from .metrics import NBSP, Family, Metric

MOST_ROWS = 400
NONE = "–"


class ValueLike(Protocol):
    @property
    def value(self) -> float | None: ...
    @property
    def reason(self) -> str: ...


class LineLike(Protocol):
    @property
    def metric(self) -> Metric: ...
    @property
    def overall(self) -> float | None: ...
    @property
    def values(self) -> Sequence[ValueLike]: ...


@dataclass(frozen=True)
class Group:
    """A family's metrics that have a number somewhere, and each reason of those that have none, once."""

    family: Family
    lines: Sequence[LineLike]
    notes: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """What stands in a table; `share`, from 0 to 1, shades it."""

    text: str
    share: float | None = None


@dataclass(frozen=True)
class Table:
    """`rows`: a heading and a cell for each column."""

    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


@dataclass(frozen=True)
class Inside:
    """What one dataset's report tells of the inside of the model. `sample`: on what, in words."""

    layers: Table | None
    lengths: Table | None
    facts: Sequence[tuple[str, str]]
    sample: str


def groups_of(lines: Sequence[LineLike]) -> list[Group]:
    """In the families' order, those that have anything to say."""
    found = []
    for family in Family:
        own = [line for line in lines if line.metric.family is family]
        shown = [line for line in own if _has_number(line)]
        if own:
            found.append(Group(family, shown, _notes(line for line in own if not _has_number(line))))
    return found


def inside_of(report: Mapping[str, Any] | None) -> Inside | None:
    """Of the report of a sparsity evaluation; None where it tells nothing."""
    track = _object(_object(_object(report).get("tracks")).get("sparsity"))
    layers, lengths = _layers(track), _lengths(_object(track.get("attention")))
    facts = list(_facts(track))
    if layers is None and lengths is None and not facts:
        return None
    return Inside(layers, lengths, facts, _sample(_object(track.get("sample"))))


def _has_number(line: LineLike) -> bool:
    return line.overall is not None or any(value.value is not None for value in line.values)


def _notes(lines: Iterator[LineLike]) -> list[tuple[str, str]]:
    """Labels and the reason that they share."""
    found: dict[str, list[str]] = {}
    for line in lines:
        for reason in dict.fromkeys(value.reason for value in line.values if value.reason):
            found.setdefault(reason, []).append(line.metric.label)
    return [(", ".join(labels), reason) for reason, labels in found.items()]


def _layers(track: Mapping[str, Any]) -> Table | None:
    """One row a layer, of all families; only the columns that some layer fills."""
    columns: dict[str, dict[int, Cell]] = {}
    for row in _rows(track, "weights"):
        part = str(row.get("part"))[:20].capitalize()
        _put(columns, f"{part} weights zero", row, _percent(row.get("zeros_share")))
        if isinstance(row.get("pattern"), str):
            _put(columns, f"{part} N:M", row, Cell(row["pattern"][:8]))
    for name, heading, key, shown in _COLUMNS:
        for row in _rows(track, name):
            _put(columns, heading, row, shown(row.get(key)))
    filled = {name: cells for name, cells in columns.items() if any(c.text != NONE for c in cells.values())}
    numbers = sorted({number for cells in filled.values() for number in cells})[:MOST_ROWS]
    if not numbers:
        return None
    rows = [(str(number), [cells.get(number, Cell(NONE)) for cells in filled.values()]) for number in numbers]
    return Table("Layer", list(filled), rows)


def _lengths(attention: Mapping[str, Any]) -> Table | None:
    listed = attention.get("lengths")
    rows = [
        (str(row.get("tokens"))[:20], [_percent(row.get(key)) for key in _LENGTH_KEYS])
        for row in (listed if isinstance(listed, list) else [])[:MOST_ROWS]
        if isinstance(row, dict)
    ]
    return Table("Tokens of a text", ["Mass in 8 keys", "Entries below 0.001"], rows) if rows else None


def _facts(track: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is a word and not a number."""
    weights, served = _object(track.get("weights")), _object(track.get("served_index"))
    if isinstance(track.get("inference_free"), bool):
        yield "Queries", "looked up, not encoded" if track["inference_free"] else "encoded by the model"
    if isinstance(weights.get("dtypes"), list):
        yield "Stored as", ", ".join(str(dtype)[:12] for dtype in weights["dtypes"][:8])
    if weights:
        pattern = weights.get("pattern")
        yield "N:M pattern everywhere", pattern[:8] if isinstance(pattern, str) else "none"
    for key, name in (("masks", "Masks in the files"), ("adapter_tensors", "Tensors of adapters")):
        if isinstance(weights.get(key), int) and weights[key]:
            yield name, str(weights[key])
    if isinstance(track.get("index_content"), str):
        yield "Index", track["index_content"][:200]
    if isinstance(served.get("ids"), str) and isinstance(served.get("impacts"), str):
        yield "Served index", f"{served['impacts'][:120]}; {served['ids'][:80]}"


def _sample(sample: Mapping[str, Any]) -> str:
    documents, queries = sample.get("documents"), sample.get("queries")
    if not isinstance(documents, int) or not isinstance(queries, int):
        return ""
    rule = sample.get("rule")
    chosen = f": {rule[:160]}" if isinstance(rule, str) else ""
    return (
        f"Activations, attention, experts and compute on {documents} documents and {queries} queries{chosen}."
    )


def _rows(track: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    listed = _object(track.get(name)).get("layers")
    rows = listed if isinstance(listed, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("layer"), int)]


def _put(columns: dict[str, dict[int, Cell]], heading: str, row: Mapping[str, Any], cell: Cell) -> None:
    columns.setdefault(heading, {})[row["layer"]] = cell


def _percent(value: object) -> Cell:
    if not _is_number(value) or not 0 <= value <= 1:
        return Cell(NONE)
    text = f"{100 * value:.1f}" if value == 0 or value >= 0.0005 else "<0.1"
    return Cell(f"{text}{NBSP}%", round(value, 3))


def _evenness(value: object) -> Cell:
    return Cell(f"{value:.2f}", round(value, 3)) if _is_number(value) and 0 <= value <= 1 else Cell(NONE)


def _count(value: object) -> Cell:
    return Cell(str(value)) if isinstance(value, int) else Cell(NONE)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


_LENGTH_KEYS = ("top_mass_share", "small_entries_share")
_COLUMNS: tuple[tuple[str, str, str, Callable[[object], Cell]], ...] = (
    ("activations", "Activations zero", "zeros_share", _percent),
    ("activations", "Near zero", "near_zeros_share", _percent),
    ("attention", "Mass in 8 keys", "top_mass_share", _percent),
    ("attention", "Entries below 0.001", "small_entries_share", _percent),
    ("experts", "Evenness of load", "load_entropy", _evenness),
    ("experts", "Dead experts", "dead", _count),
)
