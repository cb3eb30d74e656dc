"""Where and how a number was made: not part of what makes it comparable, and needed to repeat or doubt it."""

import os
import platform
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Those whose version can move a number.
LIBRARIES = (
    "numpy", "scipy", "numba", "bm25s", "PyStemmer", "ir-measures", "pytrec-eval-terrier", "ir-datasets",
    "torch", "transformers", "tokenizers", "sentence-transformers", "safetensors",
)  # fmt: skip


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def sparseboard_version() -> str:
    """The version installed, or that of the checkout this runs from."""
    try:
        return version("sparseboard")
    except PackageNotFoundError:
        project = Path(__file__).parent.parent / "pyproject.toml"
        return (
            str(tomllib.loads(project.read_text())["project"]["version"]) if project.is_file() else "unknown"
        )


def host() -> dict[str, object]:
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or "unknown")
