"""What a container may use of its host, from the kernel's control groups, version 2 or 1."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # version 1 writes about the greatest number that pages can count


def processor_limit() -> float | None:
    """Processors' worth of time that this process may use; None where nothing limits it."""
    limits = [limit for folder in _folders("cpu") if (limit := _quota(folder)) is not None]
    return min(limits, default=None)


def memory_limit() -> int | None:
    """Bytes that this process may use; None where nothing limits it."""
    names = ("memory.max", "memory.limit_in_bytes")
    found = [number for folder in _folders("memory") for name in names if (number := _number(folder / name))]
    return min((number for number in found if number < _UNLIMITED), default=None)


def throttled() -> int | None:
    """How often this process has been stopped because it had used its quota; None where that is not told."""
    counts = [count for folder in _folders("cpu") if (count := _stat(folder, "nr_throttled")) is not None]
    return sum(counts) if counts else None


def _folders(controller: str) -> Iterator[Path]:
    """The process's own group and those above it, as far as they can be seen from inside a container."""
    for mount, own in _groups(controller):
        inside = [own, *own.parents] if own != Path() else [own]
        yield from (folder for folder in dict.fromkeys(mount / each for each in inside) if folder.is_dir())


def _groups(controller: str) -> Iterator[tuple[Path, Path]]:
    for line in _text(OWN).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield ROOT, Path(path.lstrip("/"))
        elif controller in controllers.split(","):
            yield ROOT / controller, Path(path.lstrip("/"))


def _quota(folder: Path) -> float | None:
    """Version 2 writes `QUOTA PERIOD` or `max PERIOD`, version 1 two files and -1 for none."""
    words = _text(folder / "cpu.max").split()
    words = words or [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    try:
        quota, period = int(words[0]), int(words[1])
    except (IndexError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _stat(folder: Path, name: str) -> int | None:
    lines = (line.split() for line in _text(folder / "cpu.stat").splitlines())
    return next((int(words[1]) for words in lines if len(words) == 2 and words[0] == name), None)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
