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


def others(uuid: str) -> tuple[int, ...] | None:
    """Other processes that compute on a card; to be asked while we do. None where the driver does not tell.

    In a container it may number processes as the host does, or hide those outside: where we are not in its
    list ourselves, it says nothing of others.
    """
    rows = _pairs("--query-compute-apps=gpu_uuid,pid")
    found = {int(pid) for card, pid in rows if card == uuid and pid.isdigit()}
    return tuple(sorted(found - {os.getpid()})) if os.getpid() in found else None


def throttled(uuid: str) -> bool | None:
    """Whether a card now runs slower than it was asked to; None where the driver does not tell."""
    newer, older = "clocks_event_reasons", "clocks_throttle_reasons"
    rows = _pairs(f"--query-gpu=uuid,{newer}.active") or _pairs(f"--query-gpu=uuid,{older}.active")
    masks = [int(mask, 16) for card, mask in rows if card == uuid and mask.lower().startswith("0x")]
    return any(mask & _THROTTLED for mask in masks) if masks else None


def _pairs(query: str) -> list[tuple[str, str]]:
    """First and last cell of each line; empty where nothing is told."""
    rows = [[cell.strip() for cell in line.split(",")] for line in _ask(query) or []]
    return [(row[0], row[-1]) for row in rows]


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
