"""How long a system's texts are."""

from typing import Literal

from evaluations.errors import EvaluationError
from evaluations.systems.base import System


def length_of(system: System, side: Literal["query", "document"]) -> int:
    """The longest text in tokens. Raises EvaluationError `SWEEP-KIND` where the system states none."""
    said = system.provenance()
    names = ("query_length", "max_length") if side == "query" else ("max_length",)
    for name in names:
        value = said.get(name)
        if isinstance(value, int):
            return value
    raise EvaluationError("SWEEP-KIND", "the system states no longest text")
