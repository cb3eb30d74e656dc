"""Ids of vectors: one a line beside a matrix, or in each line of a JSON file; and which of them count."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evaluations.errors import EvaluationError
from evaluations.systems.vector_files.limits import VectorLimits, refusal, size_of

MAX_ID_BYTES = 1024
_UNFIT = re.compile(r"[\x00-\x20\x7f]")


@dataclass
class Selection:
    """The vectors that count: those whose id is in `wanted` (None: all), each once, in the file's order."""

    path: Path
    wanted: Collection[str] | None
    ids: list[str] = field(default_factory=list)
    unknown: int = 0
    an_unknown: str = ""
    _seen: set[str] = field(default_factory=set)

    def takes(self, found: str, place: str) -> bool:
        """Raises EvaluationError `VECTORS-IDS` for an id that was there before; `place` such as `line 3`."""
        if found in self._seen:
            raise refusal("IDS", self.path, f" {place}: {found} is there twice; keep one vector an id")
        self._seen.add(found)
        if self.wanted is not None and found not in self.wanted:
            self.unknown += 1
            self.an_unknown = self.an_unknown or found
            return False
        self.ids.append(found)
        return True


def checked_id(found: object, path: Path, place: str) -> str:
    """An id that a TREC run can hold. Raises EvaluationError `VECTORS-IDS`."""
    if not isinstance(found, str):
        kind = type(found).__name__
        raise refusal("IDS", path, f' {place} must have a text "id" (found {kind}); numbers need quotes')
    if not found or _UNFIT.search(found):
        raise refusal("IDS", path, f" {place}: id {found[:80]!r} is empty or has white space")
    if len(found.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES:
        raise refusal("IDS", path, f" {place}: the id is longer than {MAX_ID_BYTES} bytes")
    if not found.isascii() and not _encodable(found):
        raise refusal("IDS", path, f" {place}: the id has half a surrogate pair, which UTF-8 cannot hold")
    return found


def ids_file(path: Path) -> Path:
    """`documents.npy` has its ids in `documents.ids.txt`."""
    return path.with_name(f"{path.name.partition('.')[0]}.ids.txt")


def read_ids(path: Path, limits: VectorLimits) -> Iterator[tuple[int, str]]:
    """(line number, id) of a list of ids: UTF-8, LF or CRLF, one id a line, no line empty."""
    try:
        size_of(path, limits)
        with path.open("rb") as stream:
            number = 0
            while raw := stream.readline(MAX_ID_BYTES + 3):  # an id, CR and LF, and one too many
                number += 1
                yield number, checked_id(_text(raw, path, number), path, f"line {number}")
    except OSError as error:
        advice = "write the ids of the rows, one a line, in their order"
        raise refusal("IDS", path, f": {error.strerror}; {advice}") from error


def select_rows(
    path: Path, rows: int, wanted: Collection[str] | None, limits: VectorLimits
) -> "RowSelection":
    """Which rows of a matrix count, by the list of ids beside it. Raises EvaluationError `VECTORS-IDS`."""
    listed = ids_file(path)
    selection = Selection(listed, wanted)
    places, number = [], 0
    for number, found in read_ids(listed, limits):
        if number > rows:
            break
        if selection.takes(found, f"line {number}"):
            places.append(number - 1)
    if number != rows:
        count = f"more than {rows:,}" if number > rows else f"{number:,}"
        raise refusal("IDS", listed, f" has {count} ids, and {path.name} has {rows:,} vectors; write as many")
    return RowSelection(selection, places)


@dataclass(frozen=True)
class RowSelection:
    """`places`: the rows that count, ascending, one for each of `selection.ids`."""

    selection: Selection
    places: list[int]


def _text(raw: bytes, path: Path, number: int) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(path, number) from error
    text = text.removesuffix("\n").removesuffix("\r")
    return text.removeprefix("\ufeff") if number == 1 else text


def _not_utf8(path: Path, number: int) -> EvaluationError:
    return refusal("IDS", path, f" line {number} is not UTF-8; save the file as UTF-8")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
