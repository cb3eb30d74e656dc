"""What a system made of others holds of each of them: its whole spec, frozen when it was submitted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from evaluations.systems import KINDS


@dataclass(frozen=True)
class Part:
    """One thing to load and run. `files`: file name to sha256.

    `revision`: whose uploaded files it has, where it came from a submission; `system` and `name` are for
    pages to show and link.
    """

    kind: str
    location: str = ""
    version: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    revision: UUID | None = None
    system: UUID | None = None
    name: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Part":
        revision, system = (UUID(value[key]) if value[key] else None for key in ("revision", "system"))
        content = {key: value[key] for key in ("kind", "location", "version", "options", "files", "name")}
        return cls(**content, revision=revision, system=system)

    def to_json(self) -> dict[str, Any]:
        ids = {"revision": self.revision, "system": self.system}
        return {
            **self.content,
            "files": dict(self.files),
            "name": self.name,
            **{key: str(value) if value else None for key, value in ids.items()},
        }

    @property
    def content(self) -> dict[str, Any]:
        """What decides what runs; equal for what would be run equally, whatever it is called.

        The version of a model on the hub says all of its files.
        """
        return {
            "kind": self.kind,
            "location": self.location,
            "version": self.version,
            "options": dict(self.options),
            "files": {} if self.location else dict(self.files),
        }

    @property
    def settings(self) -> dict[str, Any]:
        """Options that differ from the kind's defaults."""
        kind = KINDS.get(self.kind)
        defaults = {option.name: option.default for option in kind.options} if kind else {}
        return {
            name: value
            for name, value in sorted(self.options.items())
            if name not in defaults or value != defaults[name]
        }
