"""`report.json`: all that an evaluation found, with all that is needed to trust and repeat it.

The schema is described in docs; `read_report` validates against it, since reports travel between processes
and hosts.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from evaluations.artefacts import write_atomically
from evaluations.errors import EvaluationError
from evaluations.tracks import TRACKS, Findings

SCHEMA = 1
REPORT = "report.json"
MAX_BYTES = 64 * 1024 * 1024

Json = Mapping[str, object]

_LARGEST = sys.float_info.max  # an integer may be beyond it; NaN is not on either side of it
_RESERVED = ("metrics", "reasons")
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "system": ("kind", "location", "revision", "options"),
    "dataset": ("name", "split", "documents", "queries", "self_hits", "checksums", "warnings"),
    "protocol": (),
    "provenance": ("sparseboard", "command", "started", "finished", "durations_s", "runtime"),
    "tracks": (),
}
_MAPPINGS = ("options", "checksums", "durations_s", "runtime")


@dataclass(frozen=True)
class Report:
    """`protocol` and `tracks` have one key a track. A rejected track has `rejected` in its details."""

    system: Json
    dataset: Json
    protocol: Mapping[str, Json]
    provenance: Json
    tracks: Mapping[str, Findings] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "system": dict(self.system),
            "dataset": dict(self.dataset),
            "protocol": {track: dict(facts) for track, facts in self.protocol.items()},
            "provenance": dict(self.provenance),
            "tracks": {track: _track_to_dict(findings) for track, findings in self.tracks.items()},
        }

    def write(self, folder: Path) -> None:
        """Writes `report.json` whole or not at all. Raises ValueError for NaN, which is a bug of ours."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(folder / REPORT, (text + "\n").encode())


def read_report(path: Path) -> Report:
    """The report in a file or in an evaluation's folder.

    Raises EvaluationError `REPORT-MISSING`, or `REPORT-INVALID` naming the key.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        if file.stat().st_size > MAX_BYTES:
            _invalid("the file", f"is larger than {MAX_BYTES:,} bytes")
        value = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except OSError as error:
        raise EvaluationError(
            "REPORT-MISSING", f"{file}: {error.strerror}; run measure or evaluate first"
        ) from error
    except (ValueError, RecursionError) as error:
        raise EvaluationError("REPORT-INVALID", f"{file}: is not JSON: {error}") from error
    return report_from_dict(value)


def report_from_dict(value: object) -> Report:
    """The report of a JSON value. Raises EvaluationError `REPORT-INVALID`, naming the key."""
    top = _mapping(value, "the report")
    if top.get("schema") != SCHEMA:
        _invalid("schema", f"must be {SCHEMA}, is {top.get('schema')!r:.40}")
    sections = {name: _section(top, name, keys) for name, keys in _SECTIONS.items()}
    _check_members(sections["system"])
    tracks = {name: _track_from(name, track) for name, track in sections["tracks"].items()}
    protocol = {name: _mapping(facts, f"protocol.{name}") for name, facts in sections["protocol"].items()}
    for name, facts in protocol.items():
        if not isinstance(facts.get("hash"), str):
            _invalid(f"protocol.{name}.hash", "must be a text")
    for name in tracks:
        if name not in protocol:
            _invalid(f"protocol.{name}", "is missing, though the track is there")
    return Report(sections["system"], sections["dataset"], protocol, sections["provenance"], tracks)


def _track_to_dict(findings: Findings) -> dict[str, object]:
    if "rejected" in findings.details:
        return dict(findings.details)
    return {"metrics": dict(findings.metrics), "reasons": dict(findings.reasons), **findings.details}


def _track_from(name: str, value: object) -> Findings:
    key = f"tracks.{name}"
    if name not in TRACKS:
        _invalid(key, f"is no track; tracks are {', '.join(TRACKS)}")
    track = _mapping(value, key)
    details = {detail: found for detail, found in track.items() if detail not in _RESERVED}
    if "rejected" in track:
        _text(track["rejected"], f"{key}.rejected")
        return Findings(details=details)
    metrics = _mapping(track.get("metrics"), f"{key}.metrics")
    reasons = _mapping(track.get("reasons", {}), f"{key}.reasons")
    return Findings(
        {metric: _number(found, f"{key}.metrics.{metric}") for metric, found in metrics.items()},
        {metric: _text(found, f"{key}.reasons.{metric}") for metric, found in reasons.items()},
        details,
    )


def _section(top: Json, name: str, keys: tuple[str, ...]) -> Json:
    section = _mapping(top.get(name), name)
    for key in keys:
        if key not in section:
            _invalid(f"{name}.{key}", "is missing")
        if key in _MAPPINGS:
            _mapping(section[key], f"{name}.{key}")
    return section


def _check_members(system: Json) -> None:
    """A composite's members are described as systems are."""
    members = system.get("members", [])
    if not isinstance(members, list):
        _invalid("system.members", "must be a list")
    for place, member in enumerate(members):
        _section({f"system.members[{place}]": member}, f"system.members[{place}]", _SECTIONS["system"])


def _mapping(value: object, key: str) -> Json:
    if not isinstance(value, dict):
        _invalid(key, "must be an object")
    return value


def _text(value: object, key: str) -> str:
    if not isinstance(value, str):
        _invalid(key, "must be a text")
    return value


def _number(value: object, key: str) -> float | int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST <= value <= _LARGEST:
        _invalid(key, "must be a finite number or null")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _invalid(key: str, problem: str) -> NoReturn:
    raise EvaluationError("REPORT-INVALID", f"{key}: {problem}")
