"""Which names of members are taken: plain relative ones that stay apart on every file system."""

import unicodedata
from pathlib import PurePosixPath

from evaluations.archives.limits import ArchiveLimits, member_refusal

MAX_PART_BYTES = 255


class Names:
    """The names of one archive so far."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._spelled: dict[str, str] = {}
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def checked(self, name: str, *, is_folder: bool) -> PurePosixPath:
        """The member's path. Raises EvaluationError `ARCHIVE-NAME`.

        `./` in front, as tar writes it, goes; the folder `./` itself is the empty path.
        """
        bare = name.removesuffix("/") if is_folder else name
        parts = bare.split("/")
        if parts[0] == "." and (is_folder or len(parts) > 1):
            parts = parts[1:]
        self._check_parts(name, parts)
        self._check_apart(name, parts, is_folder=is_folder)
        return PurePosixPath(*parts)

    def _check_parts(self, name: str, parts: list[str]) -> None:
        if any(part in ("", ".", "..") for part in parts) or any(mark in name for mark in "\\:"):
            raise member_refusal("NAME", name, "is not a plain name inside the archive; pack relative names")
        if not all(map(str.isprintable, parts)):
            raise member_refusal("NAME", name, "has control characters in its name; rename it")
        if len(parts) > self._limits.depth:
            raise member_refusal("NAME", name, f"lies deeper than {self._limits.depth} folders; pack it flat")
        sizes = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
        if sum(sizes) + len(sizes) > self._limits.name_bytes or max(sizes, default=0) > MAX_PART_BYTES:
            raise member_refusal("NAME", name, f"has a name of over {MAX_PART_BYTES} bytes; shorten it")

    def _check_apart(self, name: str, parts: list[str], *, is_folder: bool) -> None:
        """No name twice, nor two that some file system takes for one, nor a file that is a folder too."""
        for length in range(1, len(parts) + 1):
            path = "/".join(parts[:length])
            key = _key(path)
            is_file = length == len(parts) and not is_folder
            known = self._spelled.setdefault(key, path)
            if known != path or key in self._files or (is_file and key in self._folders):
                problem = f"has a name that {known!r} has already, or would have on another system; keep one"
                raise member_refusal("NAME", name, problem)
            (self._files if is_file else self._folders).add(key)


def _key(path: str) -> str:
    """Equal for names that differ in case or in how their accents are composed."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
