"""Zip archives. `zipfile` parses the directory, once its size is known; all else is read here.

`zipfile` itself takes prefixes, overlapping members and gaps, cuts a name at NUL, and believes the directory
on sizes and sums. Here each member is inflated from exactly its own bytes, and both records must agree.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import IO

from evaluations.archives import directory
from evaluations.archives.limits import CHUNK_BYTES, Budget, member_refusal, refusal
from evaluations.archives.members import Member
from evaluations.archives.names import Names
from evaluations.errors import EvaluationError

_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ValueError,
)  # fmt: skip
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_LOCAL, _LOCAL_BYTES = b"PK\x03\x04", 30
_DESCRIPTOR_BYTES = 24  # at most: signature, sum, two sizes of 8 bytes
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DESCRIBED_BEHIND = 0x8
_UTF8 = 0x800


def members(stream: IO[bytes], size: int, budget: Budget) -> Iterator[Member]:
    """The files of a zip archive. Every name is checked before the first byte of any member is unpacked.

    Raises EvaluationError `ARCHIVE-...`.
    """
    with _refusing_damage():
        found = checked(stream, size, budget)
    for info, path in found:
        yield Member(path, info.file_size, partial(_content, stream, info, budget))


@contextmanager
def _refusing_damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise damaged(error) from error


def damaged(error: Exception | str) -> EvaluationError:
    return refusal("DAMAGED", f"is no zip archive or is damaged ({error}); pack it again")


def checked(stream: IO[bytes], size: int, budget: Budget) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The files of the directory, in the order of their places, none overlapping another."""
    limits = budget.limits
    place = directory.locate(stream, size)
    if place is None:
        raise damaged("it has no end, or something follows it")
    if place.size > limits.directory_bytes:
        raise refusal("SIZE", f"has a directory of {place.size:,} bytes; put fewer files in")
    if place.offset + place.size != place.end:
        raise damaged("its directory is not where its end says")
    with zipfile.ZipFile(stream) as opened:
        infos = sorted(opened.infolist(), key=lambda info: info.header_offset)
    names = Names(limits)
    found = [(info, _checked(info, names, budget)) for info in infos]
    _check_places(stream, infos, place.offset)
    return [(info, path) for info, path in found if not info.is_dir()]


def _checked(info: zipfile.ZipInfo, names: Names, budget: Budget) -> PurePosixPath:
    name = info.orig_filename
    budget.count_member()
    if info.flag_bits & _ENCRYPTED:
        raise member_refusal("ENCRYPTED", name, "is encrypted; pack it without a password")
    if not info.flag_bits & _UTF8 and not name.isascii():
        raise member_refusal("NAME", name, "has a name that is not UTF-8; rename it")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise member_refusal("LINK", name, "is a link or a device; put the file itself in")
    if info.compress_type not in _METHODS:
        raise member_refusal("FORMAT", name, "is packed by a method other than deflate; use an ordinary zip")
    if (kind == stat.S_IFDIR) > info.is_dir() or (info.is_dir() and info.file_size):
        raise member_refusal("FORMAT", name, "is a folder with content; pack it again")
    return names.checked(name, is_folder=info.is_dir())


def _check_places(stream: IO[bytes], infos: list[zipfile.ZipInfo], end: int) -> None:
    """Each member has its own bytes, the first begins the file, and nothing lies between them."""
    begun = 0
    for info in infos:
        if not begun <= info.header_offset <= begun + (_DESCRIPTOR_BYTES if begun else 0):
            name = info.orig_filename
            raise member_refusal("OVERLAP", name, "overlaps another member, or lies apart; pack it again")
        begun = _content_offset(stream, info) + info.compress_size
        if begun > end:
            raise damaged("a member reaches beyond its end")
    if end > begun + _DESCRIPTOR_BYTES:
        raise damaged("something lies behind its members")


def _content_offset(stream: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Where the member's bytes begin. Its own record must name it as the directory does."""
    stream.seek(info.header_offset)
    record = stream.read(_LOCAL_BYTES)
    if len(record) < _LOCAL_BYTES or not record.startswith(_LOCAL):
        raise damaged("a member has no record of its own")
    _, flags, method, _, _, crc, packed, unpacked, name_bytes, extra_bytes = struct.unpack(
        "<HHHHHIIIHH", record[4:]
    )
    name = stream.read(name_bytes).decode("utf-8" if flags & _UTF8 else "cp437")
    behind = bool(flags & _DESCRIBED_BEHIND)
    sizes = [(crc, info.CRC), (packed, info.compress_size), (unpacked, info.file_size)]
    differs = any(own not in (said, 0xFFFFFFFF) for own, said in sizes) and not behind
    if name != info.orig_filename or method != info.compress_type or differs:
        raise member_refusal("DAMAGED", info.orig_filename, "is described in two ways; pack it again")
    return int(info.header_offset + _LOCAL_BYTES + name_bytes + extra_bytes)


def _content(stream: IO[bytes], info: zipfile.ZipInfo, budget: Budget) -> Iterator[bytes]:
    """Inflated from the member's own bytes; size and sum must be those that the directory names."""
    unpacked = crc = 0
    with _refusing_damage():
        stream.seek(_content_offset(stream, info))
        for piece in _inflated(stream, info):
            unpacked += len(piece)
            budget.count_bytes(len(piece))
            if unpacked > info.file_size:
                problem = "unpacks to more than it says; pack it again"
                raise member_refusal("DAMAGED", info.orig_filename, problem)
            crc = zlib.crc32(piece, crc)
            yield piece
    if unpacked != info.file_size or crc != info.CRC:
        raise member_refusal("DAMAGED", info.orig_filename, "does not unpack to what it says; pack it again")


def _inflated(stream: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.compress_size
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if info.compress_type == zipfile.ZIP_DEFLATED else None
    while left:
        packed = stream.read(min(CHUNK_BYTES, left))
        if not packed:
            raise EOFError("it is cut off")
        left -= len(packed)
        if inflate is None:
            yield packed
            continue
        while packed:
            yield inflate.decompress(packed, CHUNK_BYTES)
            packed = inflate.unconsumed_tail
        if inflate.unused_data or (inflate.eof and left):
            raise zlib.error("a member has more bytes than its content")
    while inflate is not None and not inflate.eof:
        piece = inflate.decompress(b"", CHUNK_BYTES)
        if not piece:
            raise EOFError("a member is cut off")
        yield piece
