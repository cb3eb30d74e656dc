"""The leaderboard's table: which columns there are, what stands in a cell, what a heading sorts by."""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import django_tables2 as tables
from django.template.loader import render_to_string
from django.utils.html import format_html
from django_tables2.data import TableData

from . import families
from .metrics import PRIMARY, Group, Metric, describe, ordered
from .queries import Board
from .rows import DEFAULT_ORDER, Row, best, metric_names, sort

VIEWS = {"overview": "Overview", "quality": "Quality", "sparsity": "Sparsity", "latency": "Latency"}
OVERVIEW = (
    *("R@100", "parameters", "index_bytes", "flops"),
    *("latency_ratio_matched_p50", "query_latency_p50_ms"),
)
# The system's page has the others.
LATENCY = (
    *("latency_ratio_matched_p50", "latency_ratio_bm25_p50", "query_latency_p50_ms", "query_latency_p95_ms"),
    *(f"query_{part}_latency_p50_ms" for part in ("tokenise", "encode", "search")),
    *("queries_per_second", "documents_per_second"),
)
ROWS_PER_PAGE = 100
GROUPS = {
    Group.QUALITY: "Quality",
    Group.SPARSITY: "Sparsity",
    Group.COST: "Cost",
    Group.LATENCY: "Latency",
}


@dataclass(frozen=True)
class Heading:
    """A column's heading: `order` is what a click sorts by, `sorted` the `aria-sort` it has now."""

    name: str
    label: str
    help: str
    order: str
    sorted: str


@dataclass(frozen=True)
class HeadingGroup:
    label: str
    span: int


class RowsData(TableData):
    """Rows, sorted with those that lack a value last: the library's own sort knows no such rows."""

    data: list[Row]

    def __len__(self) -> int:
        return len(self.data)

    def order_by(self, aliases: Sequence[str]) -> None:
        self.data = sort(self.data, aliases[0]) if aliases else self.data


class NumberColumn(tables.Column):
    """A metric's value of a row, rounded, with all its digits as the title; the board's best stands out."""

    def __init__(self, name: str, metric: Metric, group: str, best: float | None, label: str = "") -> None:
        super().__init__(
            accessor="system",  # any that resolves: `render` takes the value from the row
            verbose_name=label or metric.label,
            empty_values=(),
            attrs={"td": {"class": self.mark, "title": self.exact}},
        )
        self.name, self.metric, self.group, self.best = name, metric, group, best

    def render(self, record: Row) -> str:
        return self.metric.format(record.value(self.name))

    def mark(self, record: Row) -> str | None:
        value = record.value(self.name)
        if value is None:
            return "none"
        return "top" if value == self.best else None

    def exact(self, record: Row) -> str:
        value = record.value(self.name)
        if value is None:
            return record.reason(self.name)
        is_looped = self.metric.group is Group.LATENCY and record.is_looped
        return f"{value!r}{'; some queries were timed more than once' if is_looped else ''}"


class BoardTable(tables.Table):
    """Rank and system; the other columns depend on the board and the view, see `table_of`."""

    rank = tables.Column(verbose_name="Rank", empty_values=())
    system = tables.Column(verbose_name="System", empty_values=())

    class Meta:
        attrs = {"class": "board"}

    def __init__(self, data: RowsData, **settings: Any) -> None:
        systems = Counter(row.system_id for row in data)
        self._repeated = {system for system, count in systems.items() if count > 1}
        super().__init__(data, **settings)

    def render_rank(self, record: Row) -> str:
        return format_html("<b>{}</b>", record.rank) if record.rank else ""

    def render_system(self, record: Row) -> str:
        parameters = record.metrics.get("parameters")
        context = {
            "row": record,
            "family": families.label(record.family),
            "parameters": describe("parameters").format(parameters) if parameters else "",
            "show_revision": record.system_id in self._repeated,
        }
        return render_to_string("boards/cells/system.html", context)

    def get_column_class_names(self, classes: set[str], column: Any) -> set[str]:
        """The library adds the column's name, and a dataset may be named like a class of the stylesheet."""
        return classes

    def headings(self) -> list[Heading]:
        current = next(iter(self.order_by), "")
        return [_heading(column.name, column.column, current) for column in self.columns]

    def heading_groups(self) -> list[HeadingGroup]:
        """Neighbours of one group stand under one heading."""
        groups: list[HeadingGroup] = []
        for column in self.columns:
            label = getattr(column.column, "group", "")
            if groups and groups[-1].label == label:
                groups[-1] = HeadingGroup(label, groups[-1].span + 1)
            else:
                groups.append(HeadingGroup(label, 1))
        return groups


def table_of(board: Board, rows: Sequence[Row], view: str, order: str) -> BoardTable:
    """The table of one of `VIEWS`, sorted by `order`, or as the board is ranked where it names no column."""
    extra = list(_columns(board, rows, view))
    known = {"rank", "system"} | {name for name, _ in extra}
    wanted = order if order.removeprefix("-") in known else DEFAULT_ORDER
    return BoardTable(RowsData(list(rows)), extra_columns=extra, order_by=(wanted,))


def _columns(board: Board, rows: Sequence[Row], view: str) -> Iterable[tuple[str, NumberColumn]]:
    names = _metrics_of(rows, view)
    tops = best(rows, ["average", *board.columns, *names])
    several = len(board.columns) > 1
    yield "average", NumberColumn("average", describe(PRIMARY), PRIMARY, tops.get("average"), "Average")
    if view == "overview" and several:
        for name in board.columns:
            yield name, NumberColumn(name, describe(PRIMARY), PRIMARY, tops.get(name), name)
    for name in names:
        metric = describe(name)
        yield name, NumberColumn(name, metric, GROUPS[metric.group], tops.get(name))


def _metrics_of(rows: Sequence[Row], view: str) -> list[str]:
    have = metric_names(rows)
    if view in ("overview", "latency"):
        return [name for name in (OVERVIEW if view == "overview" else LATENCY) if name in have]
    wanted = {Group.QUALITY} if view == "quality" else {Group.SPARSITY, Group.COST}
    chosen = {name for name in have if _is_column(name, wanted)}
    return sorted(
        (metric.name for metric in ordered(chosen)),
        key=lambda name: list(GROUPS).index(describe(name).group),
    )


def _is_column(name: str, groups: Container[Group]) -> bool:
    metric = describe(name)
    return metric.group in groups and metric.on_board and name != PRIMARY


def _heading(name: str, column: Any, current: str) -> Heading:
    metric = getattr(column, "metric", None)
    descending_first = metric is not None and metric.higher_is_better is not False
    order = f"-{name}" if descending_first else name
    is_sorted = current.removeprefix("-") == name
    if is_sorted:
        order = name if current.startswith("-") else f"-{name}"
    direction = "descending" if current.startswith("-") else "ascending"
    return Heading(
        name=name,
        label=str(column.verbose_name),
        help=_help(metric, name),
        order=order,
        sorted=direction if is_sorted else "",
    )


def _help(metric: Metric | None, name: str) -> str:
    if metric is None:
        return ""
    if metric.name == PRIMARY:
        return "Mean nDCG@10 of all columns" if name == "average" else f"nDCG@10 on {name}"
    return f"{metric.help or metric.name}; {metric.across.value}"
