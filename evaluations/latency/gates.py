"""Gates: what must hold for a session's times to be published. A session that fails one says why, no more.

The references are judged by their medians and by their means. On a machine that shares its processors, a
query of 50 microseconds seldom meets the scheduler, so that its median stays and its mean triples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from evaluations.latency.conditions import UNKNOWN, Change

VARIATION_LIMIT = 0.05
BASELINE_LIMIT = 0.10
RATIO_LIMIT = 0.03

State = Literal["passed", "failed", "unknown"]


@dataclass(frozen=True)
class Gate:
    """`measured` and `limit` are shares, or counts; `said`: why it failed, or why nothing is known."""

    name: str
    state: State
    measured: float | None = None
    limit: float | None = None
    said: str = ""

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def rejection(gates: Sequence[Gate]) -> str | None:
    """Why the session is rejected: every gate that failed; None where none did."""
    return "; ".join(gate.said for gate in gates if gate.state == "failed") or None


def variation_gate(name: str, p50: float, mean: float) -> Gate:
    """The variations of a reference's p50 and mean between blocks."""
    most, statistic = max((p50, "p50"), (mean, "mean"))
    problem = f"the {statistic} of the reference {name} varied by {most:.1%} between blocks"
    return _limited(f"{name} variation", most, VARIATION_LIMIT, problem)


def ratio_gate(blocks: float) -> Gate:
    problem = f"the ratio to the references varied by {blocks:.1%} between blocks"
    return _limited("ratio variation", blocks, RATIO_LIMIT, problem)


def baseline_gates(found: Mapping[str, float], stored: Mapping[str, float] | None) -> list[Gate]:
    """Times in ms by reference and statistic. `stored` None: no baseline was given, so nothing is known.

    Whoever gives a baseline wants the session held against it: what it lacks is no reason to let it pass.
    """
    return [_baseline_gate(name, time, stored) for name, time in found.items()]


def foreign_baseline_gate(theirs: str, ours: str) -> Gate:
    """Of a baseline of another host profile, which says nothing of this one."""
    said = f"the baseline is of host profile {theirs}, this is {ours}; give one that was made here"
    return Gate("host profile against baseline", "failed", said=said)


def throttling_gate(name: str, times: Change) -> Gate:
    """`times`: how often a processor was slowed down, or our share of it used up, during the session."""
    if isinstance(times, str):
        return Gate(name, "unknown", said=f"{name} cannot be read here")
    return _limited(name, times, 0, f"{name}: {times} times during the session")


def card_gates(others: Sequence[int] | None, throttled: bool | None) -> list[Gate]:
    """Of a session on a card. `others`: processes beside ours that compute on one."""
    slowed = UNKNOWN if throttled is None else int(throttled)
    return [_shared_gate(others), throttling_gate("card throttling", slowed)]


def _shared_gate(others: Sequence[int] | None) -> Gate:
    if others is None:
        return Gate("shared card", "unknown", said="who else uses the card cannot be read here")
    return _limited("shared card", len(others), 0, f"{len(others)} other processes compute on the card")


def _baseline_gate(name: str, time: float, stored: Mapping[str, float] | None) -> Gate:
    label = f"{name} against baseline"
    if stored is None:
        return Gate(label, "unknown", said="no baseline was given")
    if name not in stored:
        said = f"the baseline has no {name}; make one of the system's device and precision (host --write)"
        return Gate(label, "failed", said=said)
    off = time / stored[name] - 1
    problem = f"the reference {name} was {time:.3g} ms, {off:+.0%} from its baseline of {stored[name]:.3g} ms"
    return _limited(label, abs(off), BASELINE_LIMIT, problem)


def _limited(name: str, measured: float, limit: float, problem: str) -> Gate:
    if measured <= limit:
        return Gate(name, "passed", measured, limit)
    shown = f"{limit:.0%}" if limit else "none"
    return Gate(name, "failed", measured, limit, f"{problem} (limit {shown})")
