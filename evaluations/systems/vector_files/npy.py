"""The header of an `.npy` file, read without evaluating it: nothing is allocated before it is believed."""

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from evaluations.errors import EvaluationError
from evaluations.systems.vector_files.limits import refusal

MAX_HEADER_BYTES = 4096
_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
_FIELDS = {
    "descr": re.compile(r"'descr'\s*:\s*'([^']{2,8})'"),
    "fortran_order": re.compile(r"'fortran_order'\s*:\s*(True|False)"),
    "shape": re.compile(r"'shape'\s*:\s*\(([\d,\s]{0,80})\)"),
}
_PLAIN = re.compile(r"[<>|=]([fiubSU])(\d{1,3})")


@dataclass(frozen=True)
class Header:
    """`offset`: bytes before the payload, counted from where the array begins."""

    dtype: "np.dtype[np.generic]"
    shape: tuple[int, ...]
    is_fortran: bool
    offset: int

    @property
    def payload_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], path: Path, part: str = "") -> Header:
    """Of the array that begins where the stream is. `part` names an array inside the file.

    Raises EvaluationError `VECTORS-FORMAT`, and `VECTORS-PICKLE` for an array of Python objects.
    """
    start = stream.read(8)
    length_format = _LENGTHS.get(start[6]) if len(start) == 8 and start.startswith(_MAGIC) else None
    if length_format is None:
        raise refusal("FORMAT", path, f"{part} is no .npy array; write it with numpy.save")
    raw = stream.read(struct.calcsize(length_format))
    length = struct.unpack(length_format, raw)[0] if len(raw) == struct.calcsize(length_format) else 0
    if not 0 < length <= MAX_HEADER_BYTES:
        raise refusal("FORMAT", path, f"{part} has an .npy header of {length:,} bytes; write it anew")
    text = stream.read(length).decode("latin-1")
    if len(text) < length:
        raise _unreadable(path, part)
    return _parsed(text, 8 + len(raw) + length, path, part)


def _parsed(text: str, offset: int, path: Path, part: str) -> Header:
    if re.search(r"'descr'\s*:\s*'[<>|=]?O\d*'", text):
        problem = f"{part} holds pickled Python objects, which are never loaded; save an array of numbers"
        raise refusal("PICKLE", path, problem)
    found = {name: pattern.findall(text) for name, pattern in _FIELDS.items()}
    rest = re.sub("|".join(pattern.pattern for pattern in _FIELDS.values()), "", text)
    if any(len(values) != 1 for values in found.values()) or re.search(r"[^\s{},]", rest):
        raise _unreadable(path, part)
    descr = found["descr"][0]
    if not _PLAIN.fullmatch(descr):
        raise refusal("FORMAT", path, f"{part} holds {descr!r}; save float32, float16 or whole numbers")
    return Header(_dtype(descr, path, part), _shape(found["shape"][0], path, part),
                  found["fortran_order"][0] == "True", offset)  # fmt: skip


def _dtype(descr: str, path: Path, part: str) -> "np.dtype[np.generic]":
    try:
        return np.dtype(descr)
    except TypeError as error:
        raise refusal("FORMAT", path, f"{part} holds {descr!r}, which is no type of number") from error


def _shape(text: str, path: Path, part: str) -> tuple[int, ...]:
    sizes = [size.strip() for size in text.split(",")]
    sizes = sizes[:-1] if sizes[-1] == "" else sizes
    if not all(re.fullmatch(r"\d{1,15}", size) for size in sizes):
        raise _unreadable(path, part)
    return tuple(int(size) for size in sizes)


def _unreadable(path: Path, part: str) -> EvaluationError:
    return refusal("FORMAT", path, f"{part} has a header that cannot be read; write it with numpy.save")
