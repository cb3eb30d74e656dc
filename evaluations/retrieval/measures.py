"""Which measures there are. A measure is a value, written as ir-measures writes it: `nDCG@10`."""

from collections.abc import Sequence
from typing import Any

import ir_measures

from evaluations.errors import EvaluationError
from evaluations.protocol import DEPTH

Measure = Any  # ir_measures has no types of its own

DEFAULT_NAMES = ("nDCG@10", "R@100", "R@1000", "RR@10", "AP@1000", "P@10", "Judged@10")
PRIMARY = "nDCG@10"
MAX_MEASURES = 50
MAX_CHARACTERS = 5000

# Served by pytrec_eval, or by a provider of ir-measures that needs no other program. Counts such as NumRet
# are left out: their mean over queries means nothing.
_SERVED = (
    "nDCG",
    "AP",
    "P",
    "R",
    "RR",
    "Rprec",
    "Success",
    "Bpref",
    "infAP",
    "IPrec",
    "SetP",
    "SetR",
    "SetF",
    "SetAP",
    "Judged",
)
_ALLOWED = f"{', '.join(_SERVED)}, with a cutoff as in nDCG@10 where it has one"


def default_measures() -> list[Measure]:
    return [ir_measures.parse_measure(name) for name in DEFAULT_NAMES]


def parse_measures(text: str) -> list[Measure]:
    """The measures of a list with commas. Raises EvaluationError `METRIC-UNKNOWN` or `METRIC-CUTOFF`."""
    names = [name.strip() for name in _split(text) if name.strip()] if len(text) <= MAX_CHARACTERS else []
    if not names or len(names) > MAX_MEASURES:
        raise EvaluationError(
            "METRIC-UNKNOWN", f"give from 1 to {MAX_MEASURES} measures; allowed: {_ALLOWED}"
        )
    return list(dict.fromkeys(_parsed(name) for name in names))


def with_defaults(extra: Sequence[Measure]) -> list[Measure]:
    """The defaults, which every row of a board has, and then the others."""
    return list(dict.fromkeys([*default_measures(), *extra]))


def cutoff(measure: Measure) -> int:
    """How deep the measure looks. One without a cutoff looks at all that is kept, which is `DEPTH`."""
    return int(measure.params.get("cutoff", DEPTH))


def _split(text: str) -> list[str]:
    """At the commas outside brackets: `P(rel=2,judged_only=True)@10` is one measure."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _parsed(name: str) -> Measure:
    try:
        measure = ir_measures.parse_measure(name)
        is_served = measure.NAME in _SERVED and _is_served(measure)
    except (ValueError, NameError, SyntaxError, AssertionError, TypeError, KeyError) as error:
        raise _unknown(name) from error
    if not is_served:
        raise _unknown(name)
    if not 1 <= cutoff(measure) <= DEPTH:
        raise EvaluationError(
            "METRIC-CUTOFF", f"{name[:60]}: runs are kept to depth {DEPTH}; cutoffs go from 1 to {DEPTH}"
        )
    return measure


def _is_served(measure: Measure) -> bool:
    if measure.NAME in ("RR", "Judged"):
        return bool(ir_measures.pytrec_eval.supports(measure) or "cutoff" in measure.params)
    return bool(ir_measures.pytrec_eval.supports(measure))


def _unknown(name: str) -> EvaluationError:
    return EvaluationError("METRIC-UNKNOWN", f"no measure {name[:60]!r}; allowed: {_ALLOWED}")
