"""Checkpoints that a sweep's values name: places of models, or short names that `--checkpoint` explains."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evaluations.errors import EvaluationError

if TYPE_CHECKING:
    from evaluations.sparsity.sweeps.grammar import Curve

PLUS = "+"
USAGE = "write --checkpoint NAME=ORG/NAME@REVISION or NAME=FOLDER"


def names_of(value: str) -> list[str]:
    """The checkpoints of one value, each as it is written there."""
    return value.split(PLUS)


def checkpoints_of(curves: Iterable["Curve"]) -> tuple[str, ...]:
    """Every checkpoint that the curves' values name, once, in the order of being named."""
    asked = [curve for curve in curves if curve.variant.values.type == "checkpoint"]
    return tuple(dict.fromkeys(name for curve in asked for value in curve.values for name in names_of(value)))


def place_of(text: str) -> tuple[str, str | None]:
    """(location, revision or None) of `ORG/NAME[@REVISION]` or `FOLDER[@REVISION]`."""
    if Path(text).is_dir():  # whose path may hold an @
        return text, None
    location, _, revision = text.partition("@")
    return location, revision or None


def parse_checkpoints(texts: Iterable[str], curves: Iterable["Curve"]) -> Mapping[str, str]:
    """Name to place, of texts as `--checkpoint` takes them. Raises EvaluationError `CHECKPOINT`."""
    named, found = checkpoints_of(curves), dict[str, str]()
    for text in texts:
        name, equals, place = (part.strip() for part in text.partition("="))
        if not (name and equals and place):
            raise EvaluationError("CHECKPOINT", f"{text[:60]!r} is no name with its place; {USAGE}")
        if name in found:
            raise EvaluationError("CHECKPOINT", f"{name[:60]!r} is named twice; give each one place")
        if name not in named:
            there = ", ".join(named) or "none"
            problem = f"no value of a sweep names {name[:60]!r}; they name: {there[:300]}"
            raise EvaluationError("CHECKPOINT", f"{problem}. Leave it out, or use it in --sweep soup=...")
        found[name] = place
    return found
