"""Reading the lines of a dataset's files: an error names the file and the line."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from evaluations.errors import EvaluationError

GZIP_MAGIC = b"\x1f\x8b"
MAX_ID_BYTES = 1024  # a line of a run holds two ids and is at most 4096 bytes long
MAX_LINE_BYTES = 64 * 1024 * 1024
_UNFIT_FOR_AN_ID = re.compile(r"[\x00-\x20\x7f]")


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without line end) of each line that is not blank.

    Plain or gzip by its first bytes, LF or CRLF, with or without a byte order mark.
    Raises EvaluationError `DATASET-ENCODING`, `DATASET-FILE` or `DATASET-LINE`.
    """
    try:
        with _opened(path) as stream:
            number = 0
            while raw := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(raw) > MAX_LINE_BYTES:
                    raise malformed(path, number, f"is longer than {MAX_LINE_BYTES:,} bytes")
                text = _decoded(raw, path, number)
                if text.strip():
                    yield number, text
    except (OSError, EOFError, zlib.error) as error:
        raise EvaluationError("DATASET-FILE", f"{path.name}: cannot be read: {error}") from error


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """(line number, object) of a JSON-lines file."""
    for number, text in numbered_lines(path):
        try:
            value = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise malformed(path, number, f"is not JSON ({error}); write one object a line") from error
        if not isinstance(value, dict):
            raise malformed(path, number, 'is not a JSON object such as {"_id": "1", "text": "..."}')
        yield number, value


def text_field(
    record: dict[str, object], key: str, path: Path, number: int, default: str | None = None
) -> str:
    """A text of a record. A missing or null one takes the default, where there is one."""
    value = record.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise malformed(
            path, number, f'must have a text "{key}" (found {type(value).__name__}); numbers need quotes'
        )
    if not _encodable(value):
        raise malformed(path, number, f'"{key}" has half a surrogate pair, which UTF-8 cannot hold')
    return value


def checked_id(value: str, path: Path, number: int) -> str:
    """An id that a line of a TREC run can hold."""
    if not value or _UNFIT_FOR_AN_ID.search(value):
        raise malformed(
            path, number, f"id {value[:80]!r} is empty or has white space, which a TREC run cannot hold"
        )
    if len(value.encode()) > MAX_ID_BYTES:
        raise malformed(path, number, f"id is longer than {MAX_ID_BYTES} bytes")
    return value


def malformed(path: Path, number: int, problem: str) -> EvaluationError:
    return EvaluationError("DATASET-LINE", f"{path.name} line {number}: {problem}")


def _opened(path: Path) -> gzip.GzipFile:
    with path.open("rb") as stream:
        is_gzip = stream.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if is_gzip else path.open("rb")  # type: ignore[return-value]


def _decoded(raw: bytes, path: Path, number: int) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        message = f"{path.name} line {number}: is not UTF-8 (byte {error.start + 1}); save the file as UTF-8"
        raise EvaluationError("DATASET-ENCODING", message) from error
    text = text.rstrip("\r\n")
    return text.removeprefix("\ufeff") if number == 1 else text


def _encodable(value: str) -> bool:
    if value.isascii():  # known without looking
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
