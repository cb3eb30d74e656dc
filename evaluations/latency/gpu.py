"""What `nvidia-smi` tells of the cards, without torch. Where it is absent or silent, nothing is known."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

TIMEOUT_S = 10.0
# Bits of clocks_event_reasons.active that mean "slower than asked for": software and hardware power caps,
# thermal slowdowns, power brake. Idle, application clocks and sync boost are no throttling.
_THROTTLED = 0x4 | 0x8 | 0x20 | 0x40 | 0x80


@dataclass(frozen=True)
class Cards:
    """Names in the driver's order, and the driver's version; no card: empty."""

    names: tuple[str, ...] = ()
    driver: str | None = None


def cards() -> Cards:
    lines = _ask("--query-gpu=name,driver_version") or []
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    return Cards(tuple(row[0] for row in rows), rows[0][1] if rows else None)


def others() -> list[int] | None:
    """Other processes that compute on a card; None where the driver does not tell."""
    lines = _ask("--query-compute-apps=pid")
    if lines is None:
        return None
    found = [int(line) for line in lines if line.strip().isdigit()]
    return [process for process in found if process != os.getpid()]


def throttled() -> bool | None:
    """Whether a card runs slower than it was asked to; None where the driver does not tell."""
    lines = _ask("--query-gpu=clocks_event_reasons.active") or _ask(
        "--query-gpu=clocks_throttle_reasons.active"
    )
    masks = [int(line, 16) for line in lines or [] if line.strip().lower().startswith("0x")]
    return any(mask & _THROTTLED for mask in masks) if masks else None


def _ask(query: str) -> Sequence[str] | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        answer = subprocess.run(
            [program, query, "--format=csv,noheader"], capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [line for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else None
