"""The one writer of docs/benchmarks.md. Sections are kept as JSON, so that one bench can be run alone."""

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.framework import Section

DOCS = Path(__file__).resolve().parents[2] / "docs"
RESULTS, PAGE = DOCS / "benchmarks.json", DOCS / "benchmarks.md"

HEAD = """# Benchmarks

Written by `make bench`, which runs ours and the peers in turn, in one session on one machine. Figures are for
comparing rows of one table; on another machine all of them change, the ratios least. The peers live in
`.venv-bench` (`requirements/bench.in`) and are no part of the product. `make bench ONLY=NAME` runs one bench
anew and keeps the others' sections.
"""


def store(name: str, section: Section, measured_on: dict[str, str]) -> None:
    """Puts a section in the place of the one of the same name, with `machine()` of before it was measured."""
    sections = _stored()
    sections[name] = asdict(section) | {"machine": measured_on}
    RESULTS.write_text(json.dumps(sections, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write() -> None:
    parts = [HEAD, *(_section(section) for _, section in sorted(_stored().items()))]
    PAGE.write_text("\n".join(parts))


def machine() -> dict[str, str]:
    """`load` is what the machine did on its own as the bench began; over 0.1 a core, it was shared."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{_processor()}, {cores} cores, {memory:.0f} GiB",
        "date": datetime.now(UTC).date().isoformat(),
        "load": f"{load:.1f}",
        "shared": "yes" if load > 0.1 * cores else "no",
        "python": platform.python_version(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine()
    )


def _stored() -> dict[str, dict]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _section(section: dict) -> str:
    blocks = [f"## {section['title']}", section["intro"], _measured_on(section)]
    for table in section["tables"]:
        blocks += [f"**{table['title']}**", _table(table["columns"], table["rows"])]
    if section["targets"]:
        rows = [
            [t["name"], t["reach"], t["measured"], "yes" if t["met"] else "**no**"]
            for t in section["targets"]
        ]
        blocks += ["**Targets**", _table(["target", "reach", "measured", "met"], rows)]
    if section["notes"]:
        blocks.append("\n".join(f"- {note}" for note in section["notes"]))
    return "\n\n".join(blocks) + "\n"


def _measured_on(section: dict) -> str:
    at, versions = section["machine"], section["versions"]
    shared = (
        f"The machine was shared with other work (load {at['load']} as it began): wall times are too long, "
        "ratios noisy."
        if at["shared"] == "yes"
        else f"The machine was otherwise idle (load {at['load']})."
    )
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return f"Measured {at['date']} on {at['processor']}, Python {at['python']}; {listed}. {shared}"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
