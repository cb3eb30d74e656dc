"""Gates: what must hold for a session's times to be published. A session that fails one says why, no more.

The references are judged by their medians and by their means. On a machine that shares its processors, a
query of 50 microseconds seldom meets the scheduler, so that its median stays and its mean triples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from evaluations.latency.card import Look
from evaluations.latency.conditions import Change

VARIATION_LIMIT = 0.05
BASELINE_LIMIT = 0.10
RATIO_LIMIT = 0.03
OVERHEAD_LIMIT_US = 20.0

State = Literal["passed", "failed", "unknown"]


@dataclass(frozen=True)
class Gate:
    """`measured`, `limit`: shares, counts or microseconds. `said`: why it failed, or why nothing is known."""

    name: str
    state: State
    measured: float | None = None
    limit: float | None = None
    said: str = ""

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def rejection(gates: Sequence[Gate]) -> str | None:
    """Why the session is rejected: each that failed, what two say alike once; None where none did."""
    said = dict.fromkeys(gate.said for gate in gates if gate.state == "failed")
    return "; ".join(said) or None


def variation_gate(name: str, p50: float, mean: float) -> Gate:
    """The variations of a reference's p50 and mean between blocks."""
    most, statistic = max((p50, "p50"), (mean, "mean"))
    problem = f"the {statistic} of the reference {name} varied by {most:.1%} between blocks"
    return _limited(f"{name} variation", most, VARIATION_LIMIT, problem)


def ratio_gate(blocks: float) -> Gate:
    problem = f"the ratio to the references varied by {blocks:.1%} between blocks"
    return _limited("ratio variation", blocks, RATIO_LIMIT, problem)


def overhead_gate(microseconds: float) -> Gate:
    """The p50 of an empty system's queries: what the harness adds to every time."""
    name, limit = "harness overhead", OVERHEAD_LIMIT_US
    if microseconds < limit:
        return Gate(name, "passed", microseconds, limit)
    said = f"the harness took {microseconds:.1f} µs of a query with an empty system (limit {limit:.0f})"
    return Gate(name, "failed", microseconds, limit, said)


def baseline_gates(
    found: Mapping[str, float], stored: Mapping[str, float] | None, when: str = ""
) -> list[Gate]:
    """Times in ms by reference and statistic. `stored` None: no baseline was given, so nothing is known.

    Whoever gives a baseline wants the session held against it: what it lacks is no reason to let it pass.
    `when`: of which calibration they are, where it is not a session's first, as `after the loop`.
    """
    return [_baseline_gate(name, time, stored, when) for name, time in found.items()]


def foreign_baseline_gate(theirs: str, ours: str) -> Gate:
    """Of a baseline of another host profile, which says nothing of this one."""
    said = f"the baseline is of host profile {theirs}, this is {ours}; give one that was made here"
    return Gate("host profile against baseline", "failed", said=said)


def throttling_gate(name: str, times: Change) -> Gate:
    """`times`: how often a processor was slowed down, or our share of it used up, meanwhile."""
    if isinstance(times, str):
        return Gate(name, "unknown", said=f"{name} cannot be read here")
    return _limited(name, times, 0, f"{name}: {times} times while it was measured")


def processor_gates(conditions: Mapping[str, Change]) -> list[Gate]:
    """Of what `Counters` counted."""
    return [
        throttling_gate("thermal throttling", conditions["thermal_throttles"]),
        throttling_gate("quota throttling", conditions["quota_throttles"]),
    ]


def card_gates(looks: Sequence[Look]) -> list[Gate]:
    """Of a session on a card. A look that saw something decides; else all must have seen that nothing is."""
    others = {process for look in looks for process in look.others or ()}
    slowed = sum(look.throttled is True for look in looks)
    return [
        _seen("shared card", len(others), [look.others for look in looks],
              f"{len(others)} other processes computed on the card", "who else uses the card"),
        _seen("card throttling", slowed, [look.throttled for look in looks],
              f"the card was slowed at {slowed} of {len(looks)} looks", "whether the card is slowed"),
    ]  # fmt: skip


def _seen(name: str, count: int, each: Sequence[object], problem: str, what: str) -> Gate:
    if count == 0 and (not each or None in each):
        return Gate(name, "unknown", said=f"{what} cannot be read here")
    return _limited(name, count, 0, problem)


def _baseline_gate(name: str, time: float, stored: Mapping[str, float] | None, when: str) -> Gate:
    label = f"{name} against baseline{when and f', {when}'}"
    if stored is None:
        return Gate(label, "unknown", said="no baseline was given")
    if name not in stored:
        said = f"the baseline has no {name}; make one of the system's device and precision (host --write)"
        return Gate(label, "failed", said=said)
    off = time / stored[name] - 1
    took = f"the reference {name} was {time:.3g} ms{when and f' {when}'}"
    problem = f"{took}, {off:+.0%} from its baseline of {stored[name]:.3g} ms"
    return _limited(label, abs(off), BASELINE_LIMIT, problem)


def _limited(name: str, measured: float, limit: float, problem: str) -> Gate:
    if measured <= limit:
        return Gate(name, "passed", measured, limit)
    shown = f"{limit:.0%}" if limit else "none"
    return Gate(name, "failed", measured, limit, f"{problem} (limit {shown})")
