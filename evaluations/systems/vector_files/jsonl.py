"""Sparse vectors as Anserini reads them: `{"id": "d1", "vector": {"token": 1.5, ...}}`, one object a line."""

import gzip
import json
import math
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluations.errors import EvaluationError
from evaluations.systems.vector_files.ids import Selection, checked_id
from evaluations.systems.vector_files.limits import (
    LONGEST_VECTOR,
    VectorLimits,
    check_rows,
    refusal,
    size_of,
)

BLOCK_ROWS = 4096
EXAMPLE = '{"id": "d1", "vector": {"token": 1.5}}'
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@dataclass
class Vocabulary:
    """Columns of tokens, numbered as they come; documents and queries share one."""

    dimensions: int
    columns: dict[str, int] = field(default_factory=dict)

    def of(self, tokens: list[str]) -> list[int]:
        known = list(map(self.columns.get, tokens))
        if None in known:
            return [self.columns.setdefault(token, len(self.columns)) for token in tokens]
        return cast("list[int]", known)

    @property
    def is_exceeded(self) -> bool:
        return len(self.columns) > self.dimensions


class _Object(list[tuple[str, object]]):
    """A JSON object as its pairs: a dict would hide a key that is there twice."""

    __slots__ = ()


def read_jsonl(
    path: Path, vocabulary: Vocabulary, selection: Selection, limits: VectorLimits
) -> Iterator[csr_array]:
    """Blocks of float32 rows (rows, dimensions), one for each id that `selection` takes, in the file's order.

    Raises EvaluationError `VECTORS-...`: which line, what is wrong, how to mend it.
    """
    block = _Block(vocabulary.dimensions)
    for number, line in _lines(path, limits):
        found, pairs = _parsed(path, number, line)
        columns, weights = _vector(path, number, pairs, vocabulary)
        if selection.takes(found, f"line {number}"):
            block.add(columns, weights)
        if len(block) == BLOCK_ROWS:
            yield block.finished()
            block = _Block(vocabulary.dimensions)
    if len(block):
        yield block.finished()


class _Block:
    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._columns, self._weights = array("i"), array("f")
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, columns: list[int], weights: list[float]) -> None:
        self._columns.extend(columns)
        self._weights.extend(weights)
        self._ends.append(len(self._columns))

    def finished(self) -> csr_array:
        arrays: list[NDArray[Any]] = [np.asarray(part) for part in (self._weights, self._columns, self._ends)]
        return csr_array((arrays[0], arrays[1], arrays[2]), shape=(len(self), self._dimensions))


def _parsed(path: Path, number: int, line: bytes) -> tuple[str, _Object]:
    try:
        record = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        raise refusal("LINE", path, f" line {number} is not UTF-8; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise refusal("LINE", path, f" line {number} is not JSON ({error}); write {EXAMPLE}") from error
    if not isinstance(record, _Object):
        raise refusal("LINE", path, f" line {number} is not a JSON object; write {EXAMPLE}")
    ids, vectors = ([value for name, value in record if name == key] for key in ("id", "vector"))
    if len(ids) != 1 or len(vectors) != 1 or not isinstance(vectors[0], _Object):
        problem = f' line {number} must have one "id" and one object "vector"; write {EXAMPLE}'
        raise refusal("LINE", path, problem)
    return checked_id(ids[0], path, f"line {number}"), vectors[0]


def _vector(path: Path, number: int, pairs: _Object, vocabulary: Vocabulary) -> tuple[list[int], list[float]]:
    tokens = [token for token, _ in pairs]
    if len(set(tokens)) != len(tokens):
        twice = Counter(tokens).most_common(1)[0][0]
        raise refusal("LINE", path, f" line {number} has token {twice[:60]!r} twice; add its weights up")
    weights = _weights(path, number, pairs)
    if not math.hypot(*weights) <= LONGEST_VECTOR:
        raise refusal("VALUE", path, f" line {number} is too long a vector; scale the weights down")
    columns = vocabulary.of(tokens)
    if vocabulary.is_exceeded:
        problem = f" line {number} brings more tokens than meta.json's {vocabulary.dimensions:,} dimensions"
        raise refusal("DIMENSIONS", path, f"{problem}; write the size of the vocabulary there")
    return columns, weights


def _weights(path: Path, number: int, pairs: _Object) -> list[float]:
    weights = [weight for _, weight in pairs]
    if set(map(type, weights)) <= {float, int}:  # exactly: to Python, True is an int
        try:
            found = list(map(float, cast("list[float]", weights)))
        except OverflowError:
            found = [math.inf]
        if all(map(math.isfinite, found)):
            return found
    token = next(token for token, weight in pairs if not _is_finite(weight))
    raise refusal("VALUE", path, f" line {number}: the weight of {token[:60]!r} must be a finite number")


def _is_finite(weight: object) -> bool:
    try:
        return type(weight) in (float, int) and math.isfinite(cast("float", weight))
    except OverflowError:
        return False


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(object_pairs_hook=_Object, parse_constant=_refuse_constant)


def _lines(path: Path, limits: VectorLimits) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line) of each line that is not blank, plain or gzip by the first bytes."""
    try:
        allowed = limits.unpacked_bytes(size_of(path, limits))
        with path.open("rb") as packed, _unpacked(packed) as stream:
            size = number = 0
            while line := stream.readline(limits.line_bytes + 1):
                number += 1
                size += len(line)
                _check_sizes(path, number, len(line), size, allowed, limits)
                line = line.removeprefix(_BOM) if number == 1 else line
                if line.strip():
                    yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise refusal("FILE", path, f" is damaged or cut off ({error}); pack it again") from error
    except OSError as error:
        raise _cannot_be_read(path, error) from error


def _check_sizes(path: Path, number: int, line: int, size: int, allowed: int, limits: VectorLimits) -> None:
    if line > limits.line_bytes:
        raise refusal("LINE", path, f" line {number} is longer than {limits.line_bytes:,} bytes")
    check_rows(path, number, limits)
    if size > allowed:
        raise refusal("SIZE", path, f" unpacks to more than {allowed:,} bytes; send it less packed")


def _unpacked(stream: IO[bytes]) -> IO[bytes]:
    is_gzip = stream.read(2) == _GZIP_MAGIC
    stream.seek(0)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if is_gzip else stream


def _cannot_be_read(path: Path, error: OSError) -> EvaluationError:
    return refusal("FILE", path, f" cannot be read: {error.strerror or error}")
