"""What an approximate engine is."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from evaluations.search.found import Found


@dataclass(frozen=True)
class Served:
    """An index that was built. `search` takes one query's vector as the system's own search does."""

    search: Callable[[Any], Found]
    disk_bytes: int


@dataclass(frozen=True)
class Engine:
    """`build` takes the documents' vectors, k and the threads of building. `module` is what it imports.

    `parameters` are all that were chosen; the rest are the package's defaults.
    """

    name: str
    module: str
    package: str
    parameters: Mapping[str, int | float]
    build: Callable[[Any, int, int], Served]

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None

    @property
    def version(self) -> str:
        return version(self.package)
