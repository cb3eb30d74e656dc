"""The most memory that this process has held, on the host and on the card."""

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_host_bytes() -> int | None:
    """Highest resident memory of the process so far; not ru_maxrss, which starts at its parent's."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    found = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return next(found, None)


def peak_card_bytes(device: str) -> int | None:
    """Highest memory that tensors held on the card so far; None for a system on another device.

    A machine with a card has systems on its processors too, and a 0 would say that these had used it.
    """
    torch = sys.modules.get("torch")
    if device != "cuda" or torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated())
