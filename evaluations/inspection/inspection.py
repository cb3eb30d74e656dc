"""What can be said of a location without loading what is there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from evaluations.systems.base import Value

# What is said of a location whatever kind it is submitted as.
FACTS = (
    "architecture", "parameters", "vocabulary", "dimensions", "max_length", "licence", "licence_from",
    "languages",
)  # fmt: skip
What = Literal["folder", "archive", "hub id", "file"]


@dataclass(frozen=True)
class Facts:
    """Of a model or of vectors; None where nothing says so. `dimensions` of its vectors."""

    architecture: str | None = None
    parameters: int | None = None
    vocabulary: int | None = None
    dimensions: int | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class Card:
    """What the model card says, or the licence's own file; `licence_from` names the file."""

    licence: str | None = None
    licence_from: str | None = None
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """`kind` None: none of the kinds, and `because` says why. `why` is the refusal where it is not safe.

    `form`: which of its kind's forms it has, where the kind tells several apart (`Kind.option_problems`).
    `options` are settings that a submission of it needs, or may want to know of.
    """

    location: str
    what: What
    kind: str | None
    because: str
    safe: bool
    why: str = ""
    revision: str | None = None
    files: int = 0
    size_bytes: int = 0
    facts: Facts = field(default_factory=Facts)
    card: Card = field(default_factory=Card)
    options: Mapping[str, Value] = field(default_factory=dict)
    form: str = ""

    def to_dict(self) -> dict[str, object]:
        """Flat, for a person or as JSON."""
        record = asdict(self)
        return {**{key: record[key] for key in record if key not in ("facts", "card")},
                **record["facts"], **record["card"]}  # fmt: skip
