"""Two reports side by side. Differences are shown only where the protocols are equal."""

from collections.abc import Iterator

from evaluations.report import Json, Report
from evaluations.tracks import Findings

Number = float | int | None


def lines(first: Report, second: Report) -> Iterator[str]:
    """The comparison, a line at a time."""
    yield f"A: {_title(first)}"
    yield f"B: {_title(second)}"
    for track in dict.fromkeys([*first.tracks, *second.tracks]):
        if track in first.tracks and track in second.tracks:
            yield from _track(track, first, second)
        else:
            yield f"\n{track}: only in {'A' if track in first.tracks else 'B'}"


def differing_facts(first: Report, second: Report, track: str) -> list[str]:
    """The names of the protocol's facts that differ; empty where the two are comparable."""
    one, other = first.protocol[track], second.protocol[track]
    return [name for name in sorted({*one, *other}) if name != "hash" and one.get(name) != other.get(name)]


def shown(value: Number) -> str:
    """Rounded for a person: four decimals, or separated thousands."""
    if value is None:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def system_title(report: Report) -> str:
    """The system in a line, with what it is made of: `fusion of bm25, dense:org/name`."""
    members = report.system.get("members")
    made_of = ", ".join(_system(member) for member in members) if isinstance(members, list) else ""
    return f"{_system(report.system)}{f' of {made_of}' if made_of else ''}"


def _title(report: Report) -> str:
    dataset = report.dataset
    return f"{system_title(report)} on {dataset['name']} ({dataset['split']})"


def _system(system: Json) -> str:
    return f"{system['kind']}:{system['location']}" if system["location"] else str(system["kind"])


def _track(track: str, first: Report, second: Report) -> Iterator[str]:
    comparable = first.protocol[track]["hash"] == second.protocol[track]["hash"]
    yield f"\n{track}"
    if not comparable:
        facts = ", ".join(differing_facts(first, second, track))
        yield f"  NOT comparable: the protocols differ in {facts}; no differences are shown"
    yield f"  {'':<28}{'A':>16}{'B':>16}{'B - A' if comparable else '':>16}"
    yield from _metrics(first.tracks[track], second.tracks[track], comparable=comparable)


def _metrics(first: Findings, second: Findings, *, comparable: bool) -> Iterator[str]:
    for name in dict.fromkeys([*first.metrics, *second.metrics]):
        one, other = first.metrics.get(name), second.metrics.get(name)
        difference = _difference(one, other) if comparable else ""
        yield f"  {name:<28}{shown(one):>16}{shown(other):>16}{difference:>16}".rstrip()


def _difference(one: Number, other: Number) -> str:
    if one is None or other is None:
        return ""
    gap = other - one
    return f"{gap:+,}" if isinstance(gap, int) else f"{gap:+.4f}"
