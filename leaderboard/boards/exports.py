"""A board as CSV: full precision, and no cell that a spreadsheet would run."""

import csv
import io
from collections.abc import Iterable, Sequence

from .queries import Board
from .rows import Row, metric_names

_FIXED = (
    "rank",
    "system",
    "organisation",
    "licence",
    "family",
    "kind",
    "precision",
    "revision",
    "submission",
    "host",
    "device",
    "times",
)


def csv_of(board: Board, rows: Sequence[Row]) -> str:
    """One line a row: `average`, nDCG@10 by column, then every metric of the whole board."""
    metrics = metric_names(rows)
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(safe([*_FIXED, "average", *board.columns, *metrics]))
    for row in rows:
        numbers = [row.average, *row.cells.values(), *(row.metrics.get(name) for name in metrics)]
        write([*safe(_texts(row)), *("" if number is None else repr(number) for number in numbers)])
    return out.getvalue()


def _texts(row: Row) -> list[str]:
    return [
        "" if row.rank is None else str(row.rank),
        row.system,
        row.organisation,
        row.licence,
        row.family,
        row.kind,
        row.precision,
        row.revision,
        str(row.submission_id),
        row.host,
        row.device,
        row.times,
    ]


def safe(texts: Iterable[str]) -> list[str]:
    """Spreadsheets run a cell that starts with one of these; an apostrophe makes it a text."""
    return [f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text for text in texts]
