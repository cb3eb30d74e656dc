"""Checksums of content, so that compression, line ends, key order and the order of lines do not matter."""

import hashlib
import json
from collections.abc import Iterable

import numpy as np


class ContentChecksum:
    """Order-free SHA-256 over records: the hash of the sorted hashes of their JSON arrays."""

    def __init__(self) -> None:
        self._digests = bytearray()

    def add(self, *fields: str | int) -> None:
        """A JSON array is unambiguous: no two different records have the same text."""
        encoded = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
        self._digests += hashlib.sha256(encoded).digest()

    def hexdigest(self) -> str:
        digests = np.frombuffer(self._digests, dtype="S32")
        return hashlib.sha256(np.sort(digests).tobytes()).hexdigest()


def checksum(records: Iterable[tuple[str | int, ...]]) -> str:
    """The checksum of records that are already in memory."""
    content = ContentChecksum()
    for record in records:
        content.add(*record)
    return content.hexdigest()
