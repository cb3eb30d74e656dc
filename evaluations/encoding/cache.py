"""Vectors kept from one evaluation to the next, a file for each chunk of texts.

A file's name is a hash of everything its vectors depend on, so that nothing in it can be out of date: other
tracks, other attempts and another dataset with the same texts find it. Files are written beside and renamed,
so that processes may share the folder; a damaged one is removed, and its texts are encoded anew.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

SUFFIX = ".vectors"
_MAGIC = b"sparseboard vectors 1\n"
_MOST_HEADER = 1 << 16
_ABANDONED_S = 3600.0  # a file being written is never this old
_AFTER_EVICTION = 0.9  # of the limit: not every new file is to search the folder


@dataclass(frozen=True)
class Identity:
    """What vectors depend on besides the text and its side, as JSON values.

    Options whose name begins with `query_` count for queries alone. Those that begin with `document_` count
    for documents, and for queries where the query's own is unset: it may be the documents' then.
    """

    facts: Mapping[str, object]
    options: Mapping[str, object] = field(default_factory=dict)

    def modified(self, name: str) -> "Identity":
        return replace(self, facts={**self.facts, "modified": name})

    def key(self, side: str, texts: str) -> str:
        """Of a side and the checksum of a chunk's texts: 64 hexadecimal digits."""
        options = {name: value for name, value in self.options.items() if self._counts(name, side)}
        whole = {**self.facts, "options": options, "side": side, "texts": texts}
        canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _counts(self, name: str, side: str) -> bool:
        if side == "document":
            return not name.startswith("query_")
        own = name.replace("document_", "query_", 1)
        return not name.startswith("document_") or self.options.get(own) is None


class VectorCache:
    """A folder of at most `limit_bytes`; what was not used for longest goes first. Failing is no error.

    A full disk or a folder that cannot be written to costs time and nothing else.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._size: int | None = None

    def get(self, key: str) -> Arrays | None:
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        arrays = _parsed(content)
        with contextlib.suppress(OSError):
            if arrays is None:
                path.unlink()
            else:
                os.utime(path)
        return arrays

    def put(self, key: str, arrays: Arrays) -> None:
        with contextlib.suppress(OSError):
            path = self._path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            size = _write(path, arrays)
            self._size = self._measured() if self._size is None else self._size + size
            if self._size > self._limit:
                self._evict()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}{SUFFIX}"

    def _measured(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _files(self) -> list[tuple[float, int, Path]]:
        """When it was last used, its size, the file. What another process removed meanwhile is left out."""
        found = []
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        return found

    def _evict(self) -> None:
        files = sorted(self._files())
        size = sum(each for _, each, _ in files)
        now = time.time()
        for used, each, path in files:
            unfinished = path.suffix != SUFFIX
            if now - used > _ABANDONED_S if unfinished else size > _AFTER_EVICTION * self._limit:
                with contextlib.suppress(OSError):
                    path.unlink()
                size -= each
        self._size = size


def _write(path: Path, arrays: Arrays) -> int:
    """Bytes written. Beside the file, then renamed: a reader meets a whole file or none."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    digest = hashlib.sha256()
    for array in contiguous.values():
        digest.update(_bytes(array))
    described = {name: [array.dtype.str, list(array.shape)] for name, array in contiguous.items()}
    header = json.dumps({"sha256": digest.hexdigest(), "arrays": described}).encode()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as stream:
        beside = Path(stream.name)
        try:
            stream.write(_MAGIC + len(header).to_bytes(4, "little") + header)
            for array in contiguous.values():
                stream.write(_bytes(array))
            size = stream.tell()
            stream.flush()
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    return size


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _parsed(content: bytes) -> Arrays | None:
    """None where the file is not whole, or not what was written."""
    start = len(_MAGIC) + 4
    length = int.from_bytes(content[len(_MAGIC) : start], "little")
    payload = memoryview(content)[start + length :]
    try:
        header = json.loads(content[start : start + length])
        whole = content.startswith(_MAGIC) and length <= _MOST_HEADER
        if not whole or hashlib.sha256(payload).hexdigest() != header["sha256"]:
            return None
        return _arrays(payload, header["arrays"])
    except (ValueError, KeyError, TypeError):
        return None


def _arrays(payload: memoryview, described: Mapping[str, Any]) -> Arrays:
    arrays, start = {}, 0
    for name, (kind, shape) in described.items():
        dtype, count = np.dtype(kind), int(np.prod(shape))
        arrays[name] = np.frombuffer(payload, dtype, count, start).reshape(shape)
        start += count * dtype.itemsize
    return arrays
