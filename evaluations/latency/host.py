"""The host profile: what of a machine moves its times, and the short hash of it.

Latencies are ranked only among equal profiles. Versions of Python and of libraries stand beside it and are
not hashed: an update would otherwise make every number of a host incomparable.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluations import provenance
from evaluations.latency import cgroups, gpu

UNKNOWN = "unknown"
CPU = Path("/sys/devices/system/cpu")
CPUINFO = Path("/proc/cpuinfo")

Fact = str | int | float | None


@dataclass(frozen=True)
class HostProfile:
    """`facts` are hashed, `versions` are not."""

    facts: Mapping[str, Fact]
    versions: Mapping[str, str]

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the facts as canonical JSON."""
        canonical = json.dumps(dict(self.facts), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, object]:
        return {"hash": self.hash, "facts": dict(self.facts), "versions": dict(self.versions)}


def host_profile() -> HostProfile:
    """Of this machine, as this process sees it: a container's limits count."""
    processor, cards = _processor(), gpu.cards()
    facts: dict[str, Fact] = {
        "cpu": processor.get("model name", UNKNOWN),
        "cores": len(os.sched_getaffinity(0)),
        "flags": " ".join(sorted(processor.get("flags", UNKNOWN).split())),
        "caches": ", ".join(_caches()) or UNKNOWN,
        "governor": _text(CPU / "cpu0" / "cpufreq" / "scaling_governor") or UNKNOWN,
        "processor_limit": cgroups.processor_limit(),
        "memory_limit_bytes": cgroups.memory_limit(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpu": ", ".join(cards.names) or None,
        "driver": cards.driver,
        "kernel": f"{platform.system()} {platform.release()}",
    }
    return HostProfile(facts, {"python": platform.python_version(), **provenance.libraries()})


def _processor() -> dict[str, str]:
    """Names and values of the first processor's block of /proc/cpuinfo; empty where there is none."""
    first = _text(CPUINFO).split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _caches() -> Iterator[str]:
    for folder in sorted((CPU / "cpu0" / "cache").glob("index*")):
        level, form, size = (_text(folder / name) for name in ("level", "type", "size"))
        letter = {"Data": "d", "Instruction": "i"}.get(form, "")
        yield f"L{level}{letter} {size}"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
