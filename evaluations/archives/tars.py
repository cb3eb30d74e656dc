"""Tar archives, plain or gzip, read in one pass: ustar, with pax and GNU names.

Not by `tarfile`, which reads extended headers whole, follows sparse maps, takes whatever follows the end.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, cast

from evaluations.archives.limits import CHUNK_BYTES, Budget, member_refusal, refusal
from evaluations.archives.members import Member
from evaluations.archives.names import Names
from evaluations.errors import EvaluationError

BLOCK = 512
GZIP_MAGIC = b"\x1f\x8b"
MAX_EXTENDED_BYTES = 64 * 1024
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, ValueError)
_FILES, _FOLDER, _PAX, _GLOBAL_PAX, _GNU_NAME = (b"0", b"\0"), b"5", b"x", b"g", b"L"
_OTHER_TYPES = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a fifo",
    b"K": "a link with a long name", b"S": "a sparse file", b"V": "a volume", b"M": "a part of a volume",
}  # fmt: skip
# What describes a file without changing which file it is or what it holds.
_PLAIN_KEYS = ("mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment")
_PLAIN_PREFIXES = ("SCHILY.", "LIBARCHIVE.")


@dataclass(frozen=True)
class _Header:
    name: bytes
    size: int
    type: bytes


def is_tar(start: bytes) -> bool:
    """Of the first block."""
    return start[:2] == GZIP_MAGIC or start[257:262] == b"ustar"


def members(stream: IO[bytes], budget: Budget) -> Iterator[Member]:
    """The files of a tar archive, in its order. Raises EvaluationError `ARCHIVE-...`."""
    packed = stream.read(2) == GZIP_MAGIC
    stream.seek(0)
    source = cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if packed else stream
    with _refusing_damage():
        yield from _members(_Source(source, budget), budget)


@contextmanager
def _refusing_damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise refusal("DAMAGED", f"is no tar archive or is damaged ({error}); pack it again") from error


class _Source:
    """Reads exactly what is asked for, counting."""

    def __init__(self, stream: IO[bytes], budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def block(self) -> bytes:
        return b"".join(self.pieces(BLOCK))

    def extended(self, size: int) -> bytes:
        if size > MAX_EXTENDED_BYTES:
            raise refusal("SIZE", f"has an extended header of {size:,} bytes; pack it again")
        content = b"".join(self.pieces(size))
        self.skip_padding(size)
        return content

    def pieces(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            with _refusing_damage():  # whoever uses this up is not inside `members`
                piece = self._stream.read(min(CHUNK_BYTES, left))
                if not piece:
                    raise EOFError("it is cut off")
            self._budget.count_bytes(len(piece))
            left -= len(piece)
            yield piece

    def skip_padding(self, size: int) -> None:
        for _ in self.pieces(-size % BLOCK):
            pass

    def check_end(self) -> None:
        """After the first empty block: nothing but zeros."""
        while piece := self._stream.read(CHUNK_BYTES):
            self._budget.count_bytes(len(piece))
            if piece.count(0) != len(piece):
                raise refusal("TRAILING", "has something behind its end; pack it again")


def _members(source: _Source, budget: Budget) -> Iterator[Member]:
    names, long_name = Names(budget.limits), None
    while any(block := source.block()):
        header = _header(block)
        if header.type in (_PAX, _GLOBAL_PAX, _GNU_NAME):
            budget.count_member()
            long_name = _extended(header, source, long_name)
            continue
        name = _text(header.name if long_name is None else long_name)
        long_name = None
        budget.count_member()
        _check_type(header, name)
        path = names.checked(name, is_folder=header.type == _FOLDER)
        if header.type != _FOLDER:
            pieces = source.pieces(header.size)
            yield Member(path, header.size, partial(iter, pieces))
            for _ in pieces:  # what nobody read of it: the next header comes behind
                pass
            source.skip_padding(header.size)
    if long_name is not None:
        raise refusal("DAMAGED", "ends in a name without a file; pack it again")
    source.check_end()


def _header(block: bytes) -> _Header:
    said = _octal(block[148:156])
    if said != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise ValueError("the checksum of a header is wrong")
    if block[257:262] != b"ustar":
        raise ValueError("a header is of an old form")
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return _Header(prefix + b"/" + name if prefix else name, _octal(block[124:136]), block[156:157])


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits.isdigit():  # also the binary form, of files beyond 8 GB
        raise ValueError("a size or a sum is no octal number")
    return int(digits, 8)


def _check_type(header: _Header, name: str) -> None:
    if header.type in (*_FILES, _FOLDER):
        if header.type == _FOLDER and header.size:
            raise member_refusal("FORMAT", name, "is a folder with content; pack it again")
        return
    what = _OTHER_TYPES.get(header.type, "of a kind that is not taken")
    code = "SPARSE" if header.type == b"S" else "LINK"
    raise member_refusal(code, name, f"is {what}; put plain files in")


def _extended(header: _Header, source: _Source, earlier: bytes | None) -> bytes | None:
    """The name for the next member, where this extended header brings one."""
    content = source.extended(header.size)
    if header.type == _GLOBAL_PAX:
        if "path" in _pax(content):
            raise refusal("PAX", "names all its members by one header; pack it again")
        return earlier
    if earlier is not None:
        raise refusal("PAX", "gives one member two names; pack it again")
    if header.type == _GNU_NAME:
        return content.removesuffix(b"\0")
    return _pax(content).get("path")


def _pax(content: bytes) -> dict[str, bytes]:
    """Records `LENGTH KEY=VALUE\\n`. What would change size, kind or place of a member is refused by name."""
    found: dict[str, bytes] = {}
    while content:
        length, space, _ = content.partition(b" ")
        size = int(length) if length.isdigit() and len(length) < 6 else 0
        record, content = content[len(length) + 1 : size], content[size:]
        key, equals, value = record.removesuffix(b"\n").partition(b"=")
        if not space or not equals or not record.endswith(b"\n"):
            raise ValueError("an extended header is not in its form")
        name = key.decode()
        if name in found:
            raise refusal("PAX", f"says {name[:40]!r} of a member twice; pack it again")
        if name != "path" and name not in _PLAIN_KEYS and not name.startswith(_PLAIN_PREFIXES):
            raise _refused_key(name)
        found[name] = value
    return found


def _refused_key(name: str) -> EvaluationError:
    if name.startswith("GNU.sparse"):
        return refusal("SPARSE", "holds a sparse file; pack it without --sparse")
    return refusal("PAX", f"overrides {name[:40]!r} of a member in an extended header; pack it again")


def _text(name: bytes) -> str:
    if b"\0" in name:
        raise member_refusal("NAME", repr(name), "has control characters in its name; rename it")
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise member_refusal("NAME", repr(name), "has a name that is not UTF-8; rename it") from error
