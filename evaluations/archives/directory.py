"""The end of a zip file, read before `zipfile` reads the directory: that it does whole, whatever its size."""

import struct
import zipfile
from dataclasses import dataclass
from typing import IO

END, END_BYTES = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x07", 20
_END64, _END64_BYTES = b"PK\x06\x06", 56


@dataclass(frozen=True)
class Directory:
    """Where the directory begins and how many bytes it has; `end` is where it ought to end."""

    offset: int
    size: int
    end: int


def locate(stream: IO[bytes], size: int) -> Directory | None:
    """None where the file does not end in an end record without a comment. Leaves the stream at its start.

    Raises zipfile.BadZipFile where a long file's second end record is missing: `zipfile` looks for that one
    right before its locator, whatever the locator says, and so does this.
    """
    tail_bytes = min(size, END_BYTES + _LOCATOR_BYTES)
    stream.seek(size - tail_bytes)
    tail = stream.read(tail_bytes)
    stream.seek(0)
    record = tail[-END_BYTES:]
    if len(record) < END_BYTES or not record.startswith(END) or record[-2:] != b"\0\0":
        return None
    directory_bytes, offset = struct.unpack("<II", record[12:20])
    if not tail.startswith(_LOCATOR):
        return Directory(offset, directory_bytes, size - END_BYTES)
    return _locate64(stream, size - END_BYTES - _LOCATOR_BYTES - _END64_BYTES)


def _locate64(stream: IO[bytes], place: int) -> Directory:
    stream.seek(max(0, place))
    record = stream.read(_END64_BYTES)
    stream.seek(0)
    if len(record) < _END64_BYTES or not record.startswith(_END64):
        raise zipfile.BadZipFile("its directory cannot be found")
    directory_bytes, offset = struct.unpack("<QQ", record[40:56])
    return Directory(offset, directory_bytes, place)
