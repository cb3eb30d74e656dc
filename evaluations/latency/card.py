"""The card that a session is timed on: looked at after each block, and kept at work meanwhile.

A driver tells of throttling as of the moment, an idle card is never throttled, and whoever shared a card may
have left by the end: one look after the session would see neither.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from evaluations.latency import gpu


@dataclass(frozen=True)
class Look:
    """`others`: processes beside ours that compute on the card. None where the driver does not tell."""

    others: tuple[int, ...] | None = None
    throttled: bool | None = None


class CardWatch:
    """Looks at one card; `uuid` None: which one is used is not known, and so nothing of it is."""

    def __init__(self, uuid: str | None) -> None:
        self._uuid = uuid
        self._looks: list[Look] = []

    @property
    def looks(self) -> Sequence[Look]:
        return tuple(self._looks)

    def look(self, load: Callable[[], object]) -> None:
        """`load` is called again and again while the driver is asked. Raises what it raises."""
        with ThreadPoolExecutor(1, thread_name_prefix="card") as pool:
            asked = pool.submit(self._ask)
            while not asked.done():
                load()
        self._looks.append(asked.result())

    def _ask(self) -> Look:
        return Look() if self._uuid is None else Look(gpu.others(self._uuid), gpu.throttled(self._uuid))


def used_card() -> str | None:
    """The UUID, as the driver writes it, of the card that torch works on in this thread; None without one.

    Of a part of a card (MIG) torch gives the part's own, which the driver's lists lack: all is unknown then.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    uuid = getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", None)
    return None if uuid is None else f"GPU-{uuid}"
