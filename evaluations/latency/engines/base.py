"""What an approximate engine is."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
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
        try:
            return importlib.util.find_spec(self.module) is not None
        except ValueError:  # something else has that name in this process, and came from no file
            return False

    @property
    def version(self) -> str:
        """The package's, or where the module comes from another one (conda, own builds) the module's word."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return str(getattr(importlib.import_module(self.module), "__version__", "unknown"))
