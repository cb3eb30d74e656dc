"""How many threads a model is given: as many as this process has physical cores."""

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")
_GROUPS = Path("/sys/fs/cgroup")


def allowed_cores() -> int:
    """Physical cores within the affinity, the control group's quota and `OMP_NUM_THREADS`; at least one.

    Two threads of one core share its multipliers, so that the second slows matrix products down.
    """
    limits = [float(_physical_cores(_affinity())), _quota(_GROUPS)]
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdigit():
        limits.append(float(asked))
    return max(1, int(min(limits)))


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _physical_cores(processors: set[int], topology: Path = _TOPOLOGY) -> int:
    """Distinct cores of these processors; each counts where the system does not say."""
    return len({_core(processor, topology) for processor in processors})


def _core(processor: int, topology: Path) -> tuple[str, str]:
    folder = topology / f"cpu{processor}" / "topology"
    try:
        package, core = ((folder / name).read_text().strip() for name in ("physical_package_id", "core_id"))
    except OSError:
        return "unknown", str(processor)
    return package, core


def _quota(groups: Path) -> float:
    """Processors that the control group grants, infinite where it sets no limit."""
    for path, parse in ((groups / "cpu.max", _version_two), (groups / "cpu/cpu.cfs_quota_us", _version_one)):
        try:
            return parse(path)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return float("inf")


def _version_two(path: Path) -> float:
    quota, period = path.read_text().split()
    return float("inf") if quota == "max" else max(1.0, int(quota) / int(period))


def _version_one(path: Path) -> float:
    quota = int(path.read_text())
    period = int(path.with_name("cpu.cfs_period_us").read_text())
    return float("inf") if quota <= 0 else max(1.0, quota / period)
