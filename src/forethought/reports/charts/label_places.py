"""Label placement: close to their points, with little overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Anchor = Literal["start", "middle", "end"]
_CHARACTER, _LINE = 6.5, 14.0  # size of 12 px letters, with a margin
_GAPS = (12.0, 18.0, 27.0, 38.0, 52.0, 68.0)
_ROUNDS = 4
_SIDES: tuple[tuple[float, float], ...] = (
    (1, 0),
    (-1, 0),
    (0, -1),
    (0, 1),
    (0.7, -0.7),
    (-0.7, -0.7),
    (0.7, 0.7),
    (-0.7, 0.7),
)


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: Box) -> float:
        """The area of the overlap."""
        # A fast path: most boxes do not overlap.
        if (
            self.left >= other.right
            or other.left >= self.right
            or self.top >= other.bottom
            or other.top >= self.bottom
        ):
            return 0.0
        wide = min(self.right, other.right) - max(self.left, other.left)
        return wide * (min(self.bottom, other.bottom) - max(self.top, other.top))

    def inside(self, other: Box) -> bool:
        """Whether it lies within the other box."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class LabelPlace:
    """The position of a label."""

    x: float
    """x of the anchor."""
    y: float
    """y of the baseline."""
    anchor: Anchor
    box: Box
    gap: float
    """Distance from the point, in pixels."""


@dataclass(frozen=True)
class Ground:
    """The drawing below the labels."""

    area: Box
    points: Sequence[Box]
    """Boxes of the markers, in the order of the labels."""
    lines: Sequence[Box]
    """Boxes of interval bars and line segments."""


def places(labels: Sequence[str], ground: Ground) -> list[LabelPlace]:
    """The position of each label, by iterated greedy choice."""
    options = [_options(label, point) for label, point in zip(labels, ground.points, strict=True)]
    own = [[(place, _cost(place, at, ground)) for place in one] for at, one in enumerate(options)]
    chosen = [min(one, key=lambda pair: pair[1])[0] for one in own]
    for _ in range(_ROUNDS):
        before = list(chosen)
        for at, pairs in enumerate(own):
            others = [place.box for number, place in enumerate(chosen) if number != at]
            chosen[at] = min(pairs, key=lambda pair: pair[1] + _crowding(pair[0].box, others))[0]
        if chosen == before:
            break
    return chosen


def _options(label: str, point: Box) -> list[LabelPlace]:
    x, y = (point.left + point.right) / 2, (point.top + point.bottom) / 2
    return [_place(label, x, y, side, gap) for gap in _GAPS for side in _SIDES]


def _place(label: str, x: float, y: float, side: tuple[float, float], gap: float) -> LabelPlace:
    wide = _CHARACTER * len(label)
    x, y = x + side[0] * gap, y + side[1] * (gap + (2 if side[0] == 0 else 0))
    anchor: Anchor = "middle" if side[0] == 0 else "start" if side[0] > 0 else "end"
    left = {"start": x, "middle": x - wide / 2, "end": x - wide}[anchor]
    return LabelPlace(x, y + 4, anchor, Box(left, y - _LINE / 2, left + wide, y + _LINE / 2), gap)


def _cost(place: LabelPlace, at: int, ground: Ground) -> float:
    """The cost of a position, apart from other labels."""
    if not place.box.inside(ground.area):
        return 1e6
    points = sum(
        place.box.shared(point) for number, point in enumerate(ground.points) if number != at
    )
    lines = sum(place.box.shared(line) for line in ground.lines)
    return 8 * points + 2 * lines + 1.5 * place.gap


def _crowding(box: Box, others: Sequence[Box]) -> float:
    return 12 * sum(box.shared(other) for other in others)
