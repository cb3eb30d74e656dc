"""Where and how an evaluation ran, from its report: what a reader can use, and no path of a server."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from leaderboard.submissions.models import Evaluation


@dataclass(frozen=True)
class Provenance:
    """`facts`: label to text, in reading order. `libraries`: name to version."""

    started: datetime | None
    finished: datetime | None
    seconds: float | None
    facts: Mapping[str, str]
    libraries: Mapping[str, str]


def provenance(evaluation: Evaluation) -> Provenance:
    found: Mapping[str, Any] = (evaluation.report or {}).get("provenance", {})
    started, finished = _time(found.get("started")), _time(found.get("finished"))
    return Provenance(
        started=started,
        finished=finished,
        seconds=(finished - started).total_seconds() if started and finished else None,
        facts={label: text for label, text in _facts(found) if text},
        libraries={str(name): str(version) for name, version in _mapping(found, "libraries").items()},
    )


def _facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    host, runtime = _mapping(found, "host"), _mapping(found, "runtime")
    cores = f"{host['cores']} cores" if host.get("cores") else ""
    memory = f"{host['memory_bytes'] / 2**30:.0f} GiB" if host.get("memory_bytes") else ""
    durations = _mapping(found, "durations_s")
    return [
        ("Host", ", ".join(part for part in (str(host.get("cpu") or ""), cores, memory) if part)),
        ("System", str(host.get("system") or "")),
        *((name.replace("_", " ").capitalize(), _text(value)) for name, value in runtime.items()),
        (
            "Stages",
            ", ".join(f"{name} {seconds:.2f}\N{NO-BREAK SPACE}s" for name, seconds in durations.items()),
        ),
        ("SparseBoard", str(found.get("sparseboard") or "")),
        ("Python", str(host.get("python") or "")),
    ]


def _mapping(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _time(text: object) -> datetime | None:
    return parse_datetime(text) if isinstance(text, str) else None
