"""From the text that a person writes to a checked `SystemSpec`.

`bm25`, `dense:ORG/NAME@REVISION`, `dense:/folder`, `run:file.trec.gz`, or a `.toml` / `.json` file with the
keys kind, location, revision, options, members. Members are such texts too, or tables with the same keys.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from evaluations.errors import EvaluationError
from evaluations.systems import Kind, SystemSpec, kind_of

KEYS = ("kind", "location", "revision", "options", "members")
MAX_FILE_BYTES = 1_000_000


def parse_system(text: str, settings: Iterable[str] = (), members: Iterable[str] = ()) -> SystemSpec:
    """The spec of a `--system` text and its `--option NAME=VALUE` settings, which go before a file's.

    `members`: each as `--system` takes it; where there are any, they go before a file's.
    Raises EvaluationError `SYSTEM-...` or `OPTION-...`.
    """
    given = list(members)
    record = _record(text)
    return spec_from_dict({**record, "members": given} if given else record, settings)


def spec_from_dict(record: Mapping[str, object], settings: Iterable[str] = ()) -> SystemSpec:
    """The checked spec of a mapping such as `SystemSpec.to_dict` writes."""
    for key in record:
        if key not in KEYS:
            raise EvaluationError(
                "SYSTEM-KEY", f"a system has no key {key[:60]!r}; it has: {', '.join(KEYS)}"
            )
    kind = kind_of(_text(record, "kind") or "")
    options = record.get("options") or {}
    if not isinstance(options, Mapping):
        raise EvaluationError("SYSTEM-KEY", "options must be a table of names and values")
    options = {**options, **_settings(kind, settings)}
    members = _members(kind, record.get("members") or ())
    return kind.spec(_text(record, "location"), _text(record, "revision"), options, members)


def _members(kind: Kind, value: object) -> list[SystemSpec]:
    """Their kinds are checked before any of them is read further, so that no file leads to itself."""
    if not isinstance(value, list | tuple):
        raise EvaluationError("SYSTEM-KEY", "members must be a list of systems")
    records = [_member_record(member) for member in value]
    kind.members.check(kind.name, [_text(record, "kind") or "" for record in records])
    return [spec_from_dict(record) for record in records]


def _member_record(value: object) -> Mapping[str, object]:
    if isinstance(value, str):
        return _record(value)
    if not isinstance(value, Mapping):
        raise EvaluationError("SYSTEM-KEY", f"a member must be a text or a table, not {value!r:.60}")
    return value


def _record(text: str) -> Mapping[str, object]:
    path = Path(text)
    return _from_file(path) if path.suffix in (".toml", ".json") else _from_text(text)


def _from_text(text: str) -> dict[str, object]:
    kind, colon, place = text.partition(":")
    if not colon:
        return {"kind": kind}
    if kind_of(kind).takes not in ("model", "vocabulary"):
        return {"kind": kind, "location": place}  # a file's name may hold an @
    location, _, revision = place.partition("@")
    return {"kind": kind, "location": location, "revision": revision or None}


def _from_file(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise EvaluationError("SYSTEM-FILE", f"{path} is larger than {MAX_FILE_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
        record = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise EvaluationError("SYSTEM-FILE", f"{path}: {error}") from error
    if not isinstance(record, dict):
        raise EvaluationError("SYSTEM-FILE", f"{path}: must be an object with the keys {', '.join(KEYS)}")
    return record


def _settings(kind: Kind, settings: Iterable[str]) -> dict[str, object]:
    options: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise EvaluationError("OPTION-SYNTAX", f"write --option NAME=VALUE, not {setting[:60]!r}")
        option = kind.option(name)
        options[name] = option.parsed(value) if option else value  # an unknown one is refused with the others
    return options


def _text(record: Mapping[str, object], key: str) -> str | None:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise EvaluationError("SYSTEM-KEY", f"{key} must be a text, not {value!r:.60}")
    return value
