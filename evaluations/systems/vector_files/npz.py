"""The arrays of an `.npz` file, read by name while counting: what the directory declares is checked first."""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from evaluations.archives import directory
from evaluations.errors import EvaluationError
from evaluations.systems.vector_files.limits import VectorLimits, refusal, size_of
from evaluations.systems.vector_files.npy import Header, read_header

CHUNK_BYTES = 1 << 20
MAX_DIRECTORY_BYTES = 64 * 1024
_ENCRYPTED = 0x1
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, UnicodeDecodeError)


@contextmanager
def opened(path: Path, names: frozenset[str], limits: VectorLimits) -> Iterator["Arrays"]:
    """The file's arrays, of which each must be in `names`. Raises EvaluationError `VECTORS-...`."""
    try:
        size = size_of(path, limits)
        with path.open("rb") as stream:
            _check_directory(path, stream, size)
            with zipfile.ZipFile(stream) as archive:
                yield Arrays(path, archive, _members(path, archive, names, limits.unpacked_bytes(size)))
    except _DAMAGED as error:
        raise refusal("FILE", path, f" is no whole .npz file ({error}); save it again") from error
    except OSError as error:
        raise refusal("FILE", path, f" cannot be read: {error.strerror or error}") from error


class Arrays:
    """What is in the file, by name without `.npy`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> None:
        self.path = path
        self._archive = archive
        self._members = members

    def header(self, name: str) -> Header:
        """Raises EvaluationError `VECTORS-FORMAT` where header and directory do not agree."""
        with self._open(name) as stream:
            return self._header(name, stream)

    def read(self, name: str) -> NDArray[Any]:
        """One array, in C order. Allocates what the directory declares, which was checked."""
        with self._open(name) as stream:
            header = self._header(name, stream)
            flat = np.empty(header.payload_bytes, dtype=np.uint8)
            self._fill(flat.data, stream, name)
        return flat.view(header.dtype).reshape(header.shape)

    def _open(self, name: str) -> IO[bytes]:
        if name not in self._members:
            there = ", ".join(sorted(self._members)) or "nothing"
            problem = f" has no array {name!r} (it has: {there}); write it with scipy.sparse.save_npz"
            raise refusal("FORMAT", self.path, problem)
        return self._archive.open(self._members[name])

    def _header(self, name: str, stream: IO[bytes]) -> Header:
        header = read_header(stream, self.path, f", {name}.npy")
        held = self._members[name].file_size - header.offset
        if header.payload_bytes != held:
            problem = f", {name}.npy declares {header.payload_bytes:,} bytes of numbers and holds {held:,}"
            raise refusal("FORMAT", self.path, f"{problem}; save it again")
        if header.is_fortran and len(header.shape) > 1:
            raise refusal("FORMAT", self.path, f", {name}.npy is in Fortran order; save it again")
        return header

    def _fill(self, target: memoryview, stream: IO[bytes], name: str) -> None:
        filled = 0
        while filled < len(target):
            chunk = stream.read(min(CHUNK_BYTES, len(target) - filled))
            if not chunk:
                raise refusal("FORMAT", self.path, f", {name}.npy ends early; save it again")
            target[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        if stream.read(1):
            raise refusal("FORMAT", self.path, f", {name}.npy holds more than it declares; save it again")


def _check_directory(path: Path, stream: IO[bytes], size: int) -> None:
    """zipfile reads a directory whole, so its size is bounded before: here, not where it is read."""
    place = directory.locate(stream, size)
    if place is None:
        raise refusal("FILE", path, " is no .npz file, or is cut off; write it with scipy.sparse.save_npz")
    if place.size > MAX_DIRECTORY_BYTES:
        raise refusal("SIZE", path, f" has a directory of {place.size:,} bytes; a CSR matrix has six arrays")


def _members(
    path: Path, archive: zipfile.ZipFile, names: frozenset[str], allowed: int
) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name not in names or name in members or member.flag_bits & _ENCRYPTED:
            raise _unfit(path, member.filename)
        members[name] = member
    unpacked = sum(member.file_size for member in members.values())
    if unpacked > allowed:
        problem = f" unpacks to {unpacked:,} bytes; at most {allowed:,} are unpacked of a file of its size"
        raise refusal("SIZE", path, f"{problem}; save it with compressed=False")
    return members


def _unfit(path: Path, name: str) -> EvaluationError:
    problem = f" has an entry {name[:60]!r} that a CSR matrix does not have once"
    return refusal("FORMAT", path, f"{problem}; write it with scipy.sparse.save_npz")
