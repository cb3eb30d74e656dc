"""What the machine did to a session: recorded beside its times. What cannot be read says `unknown`."""

import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from evaluations.latency import cgroups

UNKNOWN = "unknown"
CPU = Path("/sys/devices/system/cpu")
PRESSURE = Path("/proc/pressure/cpu")
STAT = Path("/proc/stat")
_STEAL = 8  # its place in a line of /proc/stat

Change = int | str


@dataclass(frozen=True)
class Counters:
    """Counts that only grow; None where they cannot be read.

    Steal is in ticks over all processors, pressure the microseconds in which some task waited for one.
    """

    voluntary_switches: int
    involuntary_switches: int
    steal_ticks: int | None
    pressure_us: int | None
    thermal_throttles: int | None
    quota_throttles: int | None

    @classmethod
    def read(cls) -> "Counters":
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        return cls(
            voluntary_switches=usage.ru_nvcsw,
            involuntary_switches=usage.ru_nivcsw,
            steal_ticks=_steal(),
            pressure_us=_pressure(),
            thermal_throttles=_thermal_throttles(),
            quota_throttles=cgroups.throttled(),
        )

    def since(self, before: "Counters") -> dict[str, Change]:
        then: Mapping[str, int | None] = asdict(before)
        return {name: _difference(then[name], now) for name, now in asdict(self).items()}


def _difference(before: int | None, after: int | None) -> Change:
    return UNKNOWN if before is None or after is None else after - before


def _steal() -> int | None:
    words = _text(STAT).split("\n", 1)[0].split()
    return int(words[_STEAL]) if len(words) > _STEAL else None


def _pressure() -> int | None:
    """The total of the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=123`."""
    words = _text(PRESSURE).split("\n", 1)[0].split()
    return int(words[-1].removeprefix("total=")) if words[:1] == ["some"] else None


def _thermal_throttles() -> int | None:
    files = [*CPU.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")]
    counts = [text.strip() for file in files if (text := _text(file))]
    return sum(map(int, counts)) if counts else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
