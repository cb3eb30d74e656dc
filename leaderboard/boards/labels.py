"""Which points of a chart get their names written, and where, so that no name covers another or a point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CHARACTER = (7.0, 16.0)  # width and height in pixels at the chart's font size
GAP = 4.0
MARKER = 6.0
EDGE = 0.15


@dataclass(frozen=True)
class Spot:
    """A point to be named. `x` and `y` are shares of the drawing, from left and from below."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Box:
    left: float
    right: float
    bottom: float
    top: float

    def touches(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )


def placed(spots: Sequence[Spot], size: tuple[float, float]) -> Mapping[int, str]:
    """Index to Plotly's `textposition`, for the spots whose names fit. Those that come first choose first.

    `size`: width and height of the drawing in pixels. A name goes above its point if that is free.
    """
    markers = [_marker(spot, size) for spot in spots]
    taken: list[Box] = []
    found: dict[int, str] = {}
    for index, spot in enumerate(spots):
        obstacles = [*taken, *markers[:index], *markers[index + 1 :]]
        for position in _positions(spot):
            box = _box(spot, position, size)
            if box.left >= 0 and box.right <= size[0] and not any(box.touches(other) for other in obstacles):
                taken.append(box)
                found[index] = position
                break
    return found


def _positions(spot: Spot) -> tuple[str, ...]:
    """Names near an edge lean inwards."""
    side = "right" if spot.x < EDGE else "left" if spot.x > 1 - EDGE else "center"
    return f"top {side}", f"bottom {side}", "middle right", "middle left"


def _marker(spot: Spot, size: tuple[float, float]) -> Box:
    x, y = spot.x * size[0], spot.y * size[1]
    return Box(x - MARKER, x + MARKER, y - MARKER, y + MARKER)


def _box(spot: Spot, position: str, size: tuple[float, float]) -> Box:
    level, side = position.split()
    x, y = spot.x * size[0], spot.y * size[1]
    width, height = len(spot.text) * CHARACTER[0], CHARACTER[1]
    shift = MARKER + GAP if level == "middle" else 0
    left = {"right": x + shift, "left": x - width - shift, "center": x - width / 2}[side]
    bottom = {"top": y + MARKER, "bottom": y - MARKER - height, "middle": y - height / 2}[level]
    return Box(left, left + width, bottom, bottom + height)
