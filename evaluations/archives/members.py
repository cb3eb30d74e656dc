"""What the readers of both forms give: members, one after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Member:
    """A plain file. `content` yields its bytes in pieces; it must be used up before the next member."""

    path: PurePosixPath
    size: int
    content: Callable[[], Iterator[bytes]]
