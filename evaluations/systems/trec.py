"""A strict, bounded reader of TREC runs. Nothing that a submitter sends is trusted.

The same function serves the command line and, before anything is queued, the web form.
"""

import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from evaluations.errors import EvaluationError
from evaluations.search.order import id_ranks, top_k
from evaluations.systems.base import RankedList, Run
from evaluations.systems.trec_blocks import FLOAT32_OVERFLOW, MAX_LINE_BYTES, Lines, parsed

COLUMNS = "query-id Q0 document-id rank score tag"
MAX_UNKNOWN = 100_000
BLOCK_BYTES = 1 << 17  # stays in the cache with what is made of it
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class RunLimits:
    """What a run may at most hold. `bytes` counts after decompression."""

    bytes: int = 2 * 1024**3
    lines: int = 12_000_000  # BEIR's longest, Quora: 10,000 queries of 1,000 documents


def read_run(
    source: Path | IO[bytes],
    query_ids: Collection[str],
    limits: RunLimits | None = None,
    *,
    may_be_empty: bool = False,
) -> Run:
    """The ranked lists of those queries that are in `query_ids`, in the one order, scores rounded to float32.

    Other queries are ignored, counted in the warnings. `source` is a path, or a binary stream that can seek.
    `may_be_empty` is for runs of our own systems, which may find nothing. Raises EvaluationError `RUN-...`:
    what is wrong, in which line, how to mend it.
    """
    reader = _Reader(frozenset(query_ids), limits or RunLimits())
    with _opened(source) as stream:
        try:
            for block in _blocks(stream):
                reader.take(block)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise EvaluationError(
                "RUN-GZIP", f"the gzip file is damaged or cut off ({error}); pack it again"
            ) from error
        except OSError as error:
            raise EvaluationError("RUN-MISSING", f"the run cannot be read: {error}") from error
    return reader.finished(may_be_empty=may_be_empty)


class _Reader:
    """Collects lines; `scores[query][document]`."""

    def __init__(self, query_ids: frozenset[str], limits: RunLimits) -> None:
        self._limits = limits
        self._query_ids = query_ids
        self._number = 0  # of lines so far
        self._size = 0  # their bytes
        self._scores: dict[str, dict[str, float]] = {}
        self._documents: dict[str, str] = {}  # one string for each id, however many lists it is in
        self._unknown: dict[str, None] = {}  # in the order of the file
        self._last: dict[str, tuple[int, float]] = {}
        self._contradicted: set[str] = set()

    def take(self, block: bytes) -> None:
        """Many lines at once, or one after the other where something is odd or too much."""
        lines = parsed(block)
        if lines and self._has_room(len(lines), len(block)):
            self._take_lines(lines)
            self._number += len(lines)
            self._size += len(block)
            return
        for line in io.BytesIO(block):
            self._number += 1
            self._size += len(line)
            self._take_line(self._number, self._checked(line))

    def _has_room(self, lines: int, size: int) -> bool:
        return self._number + lines <= self._limits.lines and self._size + size <= self._limits.bytes

    def _checked(self, line: bytes) -> bytes:
        """Raises EvaluationError `RUN-LINE` or `RUN-SIZE`."""
        if len(line.rstrip(b"\r\n")) > MAX_LINE_BYTES:
            problem = f"is longer than {MAX_LINE_BYTES} bytes; a run has one document a line"
            raise _error("RUN-LINE", self._number, problem)
        if self._number > self._limits.lines:
            problem = f"the run has more than {self._limits.lines:,} lines; cut it at depth 1000"
            raise EvaluationError("RUN-SIZE", problem)
        if self._size > self._limits.bytes:
            problem = f"the run has more than {self._limits.bytes:,} bytes; cut it at depth 1000"
            raise EvaluationError("RUN-SIZE", problem)
        return line.removeprefix(_BOM) if self._number == 1 else line

    def _take_lines(self, lines: Lines) -> None:
        contradicted = lines.contradicted()
        for first, last in lines.by_query():
            query_id = lines.query_ids[first]
            if self._is_judged(query_id):
                rank, score = int(lines.ranks[first]), float(lines.scores[first])
                self._compare_with_rank(query_id, rank, score)
                if contradicted[first : last - 1].any():
                    self._contradicted.add(query_id)
                self._last[query_id] = (int(lines.ranks[last - 1]), float(lines.scores[last - 1]))
                ids = lines.document_ids[first:last]
                self._add(self._number + first + 1, query_id, ids, lines.scores[first:last].tolist())

    def _take_line(self, number: int, line: bytes) -> None:
        if not line.strip():
            return
        query_id, document_id, rank, score = _columns(number, line)
        if self._is_judged(query_id):
            if rank.isdigit():
                self._compare_with_rank(query_id, int(rank), score)
            self._add(number, query_id, [document_id], [score])

    def _is_judged(self, query_id: str) -> bool:
        if query_id not in self._query_ids and len(self._unknown) < MAX_UNKNOWN:
            self._unknown[query_id] = None
        return query_id in self._query_ids

    def _add(self, number: int, query_id: str, document_ids: list[str], scores: list[float]) -> None:
        """Documents of a query, in lines from `number` on. Raises EvaluationError `RUN-DUPLICATE`."""
        ids = list(map(self._documents.setdefault, document_ids, document_ids))
        ranked, fresh = self._scores.setdefault(query_id, {}), dict(zip(ids, scores, strict=True))
        if len(fresh) < len(ids) or not ranked.keys().isdisjoint(fresh):
            place = next(i for i, each in enumerate(ids) if each in ranked or each in ids[:i])
            problem = f"document {ids[place]} is there twice for query {query_id}; keep one line of it"
            raise _error("RUN-DUPLICATE", number + place, problem)
        ranked.update(fresh)

    def _compare_with_rank(self, query_id: str, rank: int, score: float) -> None:
        """A run whose ranks and scores disagree often holds distances where similarities are meant."""
        before = self._last.get(query_id, (rank, score))
        if (rank > before[0]) == (score > before[1]) and score != before[1]:
            self._contradicted.add(query_id)
        self._last[query_id] = (rank, score)

    def finished(self, *, may_be_empty: bool) -> Run:
        if not self._scores and not self._unknown and not may_be_empty:
            raise EvaluationError("RUN-EMPTY", f"the run has no lines; each has six columns: {COLUMNS}")
        if not self._scores and self._unknown:
            raise EvaluationError(
                "RUN-QUERIES",
                "none of the run's query ids is a judged query of the dataset (the run has"
                f" {next(iter(self._unknown))}, the dataset {next(iter(self._query_ids), 'none')});"
                " check that it is of this dataset and split",
            )
        return Run({query: _ranked(scores) for query, scores in self._scores.items()}, self._warnings())

    def _warnings(self) -> tuple[str, ...]:
        warnings = []
        if self._unknown:
            count = f"{'at least ' if len(self._unknown) >= MAX_UNKNOWN else ''}{len(self._unknown)}"
            first = next(iter(self._unknown))
            warnings.append(
                f"{count} query ids of the run are not judged queries and are ignored, such as {first}"
            )
        if self._contradicted:
            warnings.append(
                f"in {len(self._contradicted)} queries, such as {min(self._contradicted)}, ranks of the run"
                " contradict its scores; the scores decide, highest first"
            )
        return tuple(warnings)


def _ranked(scores: dict[str, float]) -> RankedList:
    document_ids = list(scores)
    rounded = np.array(list(scores.values()), dtype=np.float64).astype(np.float32)
    if _in_order(document_ids, rounded):
        return RankedList(document_ids, rounded)
    order = top_k(rounded, id_ranks(document_ids), len(document_ids))
    return RankedList([document_ids[i] for i in order], rounded[order])


def _in_order(document_ids: list[str], scores: NDArray[np.float32]) -> bool:
    """Whether a list is in the one order already, as most are: sorting ids takes longer than reading them."""
    if (np.diff(scores) > 0).any():
        return False
    ties = np.flatnonzero(np.diff(scores) == 0).tolist()
    return all(document_ids[place] > document_ids[place + 1] for place in ties)


def _columns(number: int, line: bytes) -> tuple[str, str, bytes, float]:
    """Query id, document id, rank, score. Only ASCII white space separates: ids may hold all others."""
    if b"\x00" in line:
        raise _error("RUN-NUL", number, "has a NUL byte; the file is binary or UTF-16, save it as UTF-8 text")
    columns = line.split()
    if len(columns) != 6:
        problem = f"has {len(columns)} columns; six are needed: {COLUMNS}"
        raise _error("RUN-COLUMNS", number, problem)
    query_id, document_id = _decoded(columns[0], number), _decoded(columns[2], number)
    return query_id, document_id, columns[3], _score(columns[4], number)


def _decoded(column: bytes, number: int) -> str:
    try:
        return column.decode()
    except UnicodeDecodeError as error:
        raise _error("RUN-ENCODING", number, "is not UTF-8; save the file as UTF-8") from error


def _score(column: bytes, number: int) -> float:
    shown = column[:40].decode(errors="replace")
    if not _NUMBER.fullmatch(column):
        raise _error("RUN-SCORE", number, f"score {shown!r} is not a finite number such as 12.5 or -3e-4")
    score = float(column)
    if not abs(score) < FLOAT32_OVERFLOW:
        raise _error("RUN-SCORE", number, f"score {shown!r} is beyond float32; scale the scores down")
    return score


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces that end where lines do, but for a line that is longer than any may be."""
    rest = b""
    while read := stream.read(BLOCK_BYTES):
        end = read.rfind(b"\n") + 1
        if end or len(rest) > MAX_LINE_BYTES:
            yield rest + read[:end]
            rest = read[end:]
        else:
            rest += read
    if rest:
        yield rest


@contextmanager
def _opened(source: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """The run's bytes, unpacked where they begin as gzip does; a stream that was passed in stays open."""
    if not isinstance(source, Path):
        yield _unpacked(source)
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise EvaluationError(
            "RUN-MISSING", f"{source}: {error.strerror}; give the path of a run file"
        ) from error
    with stream:
        yield _unpacked(stream)


def _unpacked(stream: IO[bytes]) -> IO[bytes]:
    start = stream.tell()
    is_gzip = stream.read(2) == _GZIP_MAGIC
    stream.seek(start)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if is_gzip else stream


def _error(code: str, number: int, problem: str) -> EvaluationError:
    return EvaluationError(code, f"line {number} of the run {problem}")
