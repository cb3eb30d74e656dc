"""A corpus' texts: a list while they are small, a file mapped into memory once they are large.

What reads them takes one text, a slice, or `in_batches`; nobody makes a list of them all.
"""

import mmap
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, overload

from evaluations.scratch import scratch_file, unwritable, written

IN_MEMORY_BYTES = 64 << 20  # of texts as Python holds them; more go to a file
RESIDENT_BYTES = 32 << 20  # of that file, at most, counts as the process' own memory
_WINDOW = 16  # bits: a fault maps up to 64 KiB around the page that is read
_ERRORS = "surrogatepass"  # half a surrogate pair comes back as it was
_WHAT = "the corpus' texts"


class TextStore:
    """Takes texts one by one, in order; `finished` gives them as a sequence.

    The file is where temporary files go (`TMPDIR`).
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._held = 0
        self._file: _TextFile | None = None

    def append(self, text: str) -> None:
        """Raises EvaluationFailed `SCRATCH` where the file cannot be written."""
        if self._file is not None:
            self._file.append(text)
            return
        self._texts.append(text)
        self._held += sys.getsizeof(text)
        if self._held > IN_MEMORY_BYTES:
            self._file = _TextFile()
            for each in self._texts:
                self._file.append(each)
            self._texts = []

    def finished(self) -> Sequence[str]:
        """The store takes no more texts afterwards. Raises EvaluationFailed `SCRATCH`."""
        return self._texts if self._file is None else self._file.mapped()


class MappedTexts(Sequence[str]):
    """Text i is the bytes `offsets[i]` to `offsets[i + 1]` of a file, decoded whenever it is asked for.

    A slice is a list. Threads may read at once. It cannot be pickled: its file has no name.
    """

    def __init__(self, stream: IO[bytes], offsets: "array[int]") -> None:
        self._pages = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._offsets = offsets
        self._resident = 0
        self._last_window = -1

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return list(map(self._text, range(*place.indices(len(self)))))
        return self._text(range(len(self))[place])

    def __iter__(self) -> Iterator[str]:
        return map(self._text, range(len(self)))

    def _text(self, place: int) -> str:
        start, end = self._offsets[place], self._offsets[place + 1]
        if not start >> _WINDOW == self._last_window == end >> _WINDOW:
            self._count(start, end)
        return self._pages[start:end].decode("utf-8", _ERRORS)

    def _count(self, start: int, end: int) -> None:
        """Pages that are let go stay in the system's cache, where they count against no process' limit."""
        if self._resident > RESIDENT_BYTES:
            self._pages.madvise(mmap.MADV_DONTNEED)
            self._resident = 0
        self._last_window = end >> _WINDOW
        self._resident += (self._last_window - (start >> _WINDOW) + 1) << _WINDOW


class _TextFile:
    def __init__(self) -> None:
        with written(_WHAT):
            self._stream = scratch_file()
        self._offsets = array("q", [0])

    def append(self, text: str) -> None:
        content = text.encode("utf-8", _ERRORS)
        try:  # `written` would take as long as all the rest of this
            self._stream.write(content)
        except OSError as error:
            raise unwritable(_WHAT, error) from error
        self._offsets.append(self._offsets[-1] + len(content))

    def mapped(self) -> MappedTexts:
        with written(_WHAT), self._stream as stream:
            stream.write(b"\n")  # nothing at all cannot be mapped
            stream.flush()
            return MappedTexts(stream, self._offsets)


def in_batches(texts: Iterable[str], most: int, characters: int) -> Iterator[list[str]]:
    """Lists of consecutive texts, of at most so many texts and characters, but of one text at least."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == most or size + len(text) > characters):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch
