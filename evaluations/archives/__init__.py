"""Strict, bounded readers of the archives that people send: zip, and tar plain or gzip.

Nothing in one is trusted. Sizes are those of the bytes that were really written, never those that a header
names. What is not a plain file with a plain name is refused, so is whatever a reader could take in two ways.
"""

from evaluations.archives.contents import MODEL, VECTORS, Contents
from evaluations.archives.limits import ArchiveLimits
from evaluations.archives.unpacking import contents_of, is_archive, unpack, unpacked

__all__ = ["MODEL", "VECTORS", "ArchiveLimits", "Contents", "contents_of", "is_archive", "unpack", "unpacked"]
