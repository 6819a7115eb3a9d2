"""The scatter chart of score against cost, as SVG for a page that supplies the style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import pairwise

from forethought.contracts.comparison import Chances, Interval
from forethought.reports.charts.label_places import Box, Ground, LabelPlace, places
from forethought.reports.charts.scale import Scale, linear_scale, log_scale, ticks
from forethought.reports.figures import points

COLOURS = 7
_RADIUS = 5.5
_LEADER = 13.0  # labels further away get a line to their point
_ASIDE = 6.0  # width of an 11 px letter
_MARGIN = {"left": 46.0, "right": 14.0, "top": 12.0, "bottom": 46.0}
_SHAPES = (
    "M5.5 0A5.5 5.5 0 1 1-5.5 0A5.5 5.5 0 1 1 5.5 0Z",
    "M-4.8-4.8H4.8V4.8H-4.8Z",
    "M0-6.2L6 4.8H-6Z",
    "M0-6.8L6.8 0L0 6.8L-6.8 0Z",
    "M0 6.2L6-4.8H-6Z",
    "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
)


@dataclass(frozen=True)
class Point:
    """A recipe in the plane of cost and score."""

    label: str
    said: str
    """Accessible description."""
    number: int
    """Index of the recipe, and of its tooltip."""
    family: int
    """Index of colour and shape; points of one family are joined by a line."""
    cost: float
    score: Interval
    frontier: bool = False
    chances: Chances | None = None
    """Random and oracle scores of a search's candidates."""
    fewer: tuple[tuple[float, float], ...] = ()
    """Cost and score with fewer answers."""


@dataclass(frozen=True)
class Plane:
    """Size and axes of the chart."""

    width: float
    height: float
    cost_title: str
    cost_shown: Callable[[float], str]
    binary: bool = False
    """Whether cost ticks are powers of two."""
    reference: Interval | None = None
    """Baseline score, drawn as a line with a band."""
    reference_name: str = ""


def scatter(shown: Sequence[Point], plane: Plane) -> str:
    """Scores with intervals against cost on a log scale, and the frontier as a step line.

    Points without a positive cost are left out.
    """
    shown = [one for one in shown if math.isfinite(one.cost) and one.cost > 0]
    if not shown:
        return '<p class="empty">No recipe has a cost on this axis.</p>'
    x, y = scales(shown, plane)
    parts = [
        *_grid(x, y, plane),
        *_reference(shown, x, y, plane),
        *(_chances_bar(one, x, y) for one in shown),
        *(_subsample_line(one, x, y) for one in shown),
        *_families(shown, x, y),
        *_frontier(shown, x, y),
        *(_bar(one, x, y) for one in shown),
        *_points(shown, x, y, _label_places(shown, x, y, plane.reference)),
    ]
    return (
        f'<svg class="scatter" viewBox="0 0 {plane.width:g} {plane.height:g}" '
        f'role="group" aria-label="Score against {escape(plane.cost_title)}">{"".join(parts)}</svg>'
    )


def scales(shown: Sequence[Point], plane: Plane) -> tuple[Scale, Scale]:
    """Scales of cost and score that cover all points, intervals and the baseline."""
    intervals = [one.score for one in shown] + ([plane.reference] if plane.reference else [])
    bounds = [bound for one in intervals for bound in (one.low, one.value, one.high)]
    bounds += [bound for one in shown if one.chances for bound in asdict(one.chances).values()]
    bounds += [score for one in shown for _, score in one.fewer]
    costs = [cost for one in shown for cost in (one.cost, *(cost for cost, _ in one.fewer))]
    cost = log_scale(costs, _MARGIN["left"], plane.width - _MARGIN["right"])
    score = linear_scale(
        [bound for bound in bounds if math.isfinite(bound)] or [0.0, 1.0],
        plane.height - _MARGIN["bottom"],
        _MARGIN["top"],
        within=(0.0, 1.0),
    )
    return cost, score


def marker(family: int) -> str:
    """The marker of a family, centred on the origin."""
    return f'<path class="mark c{family % COLOURS}" d="{_SHAPES[family % len(_SHAPES)]}"/>'


def key(family: int) -> str:
    """The marker of a family as an SVG of its own, for a legend."""
    return f'<svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">{marker(family)}</svg>'


def interval_row(interval: Interval, scale: Scale, marks: Sequence[float], kind: str) -> str:
    """A dot with its interval on one line; `scale` is in percent of the width."""
    grid = "".join(_upright(scale.at(mark), "zero" if mark == 0 else "grid") for mark in marks)
    low, value, high = (scale.at(one) for one in (interval.low, interval.value, interval.high))
    return (
        f'<svg class="row {kind}" aria-hidden="true">{grid}'
        f'<line class="bar" x1="{low:.2f}%" x2="{high:.2f}%" y1="50%" y2="50%"/>'
        f'<circle class="dot" cx="{value:.2f}%" cy="50%" r="4.5"/></svg>'
    )


def _upright(percent: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{percent:.2f}%" x2="{percent:.2f}%" y1="0" y2="100%"/>'


def _grid(x: Scale, y: Scale, plane: Plane) -> Iterable[str]:
    for value in ticks(y, 6):
        yield _line("grid", x.start, y.at(value), x.end, y.at(value))
        yield _text("tick", x.start - 8, y.at(value) + 4, f"{100 * value:.3g}", "end")
    last = -math.inf
    for value in ticks(x, 7 if plane.width > 600 else 4, binary=plane.binary):
        at = x.at(value)
        yield _line("grid", at, y.end, at, y.start)
        if at - last > 56 and at < plane.width - 24:
            yield _text("tick", at, y.start + 18, plane.cost_shown(value), "middle")
            last = at
    yield _line("base", x.start, y.start, x.end, y.start)
    yield _text("title", (x.start + x.end) / 2, plane.height - 6, plane.cost_title, "middle")
    middle = (y.start + y.end) / 2
    yield (
        f'<text class="title" transform="translate(12 {middle:.1f}) rotate(-90)" '
        'text-anchor="middle">score, points of 100</text>'
    )


def _reference(shown: Sequence[Point], x: Scale, y: Scale, plane: Plane) -> Iterable[str]:
    if plane.reference is None or not math.isfinite(plane.reference.value):
        return
    left, right = _MARGIN["left"], plane.width - _MARGIN["right"]
    top, bottom = y.at(plane.reference.high), y.at(plane.reference.low)
    yield (
        f'<rect class="band" x="{left:g}" y="{top:.1f}" width="{right - left:g}" '
        f'height="{max(bottom - top, 0):.1f}"/>'
    )
    at = y.at(plane.reference.value)
    yield _line("reference", left, at, right, at)
    said = f"{plane.reference_name} {points(plane.reference.value)}"
    room = _ASIDE * len(said) + 20
    near = [x.at(one.cost) for one in shown if abs(y.at(one.score.value) - at) < 16]
    if not any(across < left + room for across in near):
        yield _text("aside", left + 6, at - 5, said, "start")
    elif not any(across > right - room for across in near):
        yield _text("aside", right - 6, at - 5, said, "end")
    else:
        yield _text("aside", (left + right) / 2, at - 5, said, "middle")


def _families(shown: Sequence[Point], x: Scale, y: Scale) -> Iterable[str]:
    for family in sorted({one.family for one in shown}):
        members = sorted((one for one in shown if one.family == family), key=lambda one: one.cost)
        if len(members) > 1:
            path = "L".join(f"{x.at(one.cost):.1f} {y.at(one.score.value):.1f}" for one in members)
            yield f'<path class="joined c{family % COLOURS}" data-family="{family}" d="M{path}"/>'


def _chances_bar(one: Point, x: Scale, y: Scale) -> str:
    """A wide pale bar from the random score to the oracle score."""
    if one.chances is None:
        return ""
    top, bottom = y.at(one.chances.oracle), y.at(one.chances.random)
    return (
        f'<rect class="room c{one.family % COLOURS}" data-family="{one.family}" '
        f'x="{x.at(one.cost) - 7:.1f}" y="{top:.1f}" width="14" '
        f'height="{max(bottom - top, 1):.1f}" rx="3"/>'
    )


def _subsample_line(one: Point, x: Scale, y: Scale) -> str:
    """The line of scores from one answer up to all drawn answers."""
    if not one.fewer:
        return ""
    places = [*one.fewer, (one.cost, one.score.value)]
    path = "L".join(f"{x.at(cost):.1f} {y.at(score):.1f}" for cost, score in places)
    return f'<path class="way c{one.family % COLOURS}" data-family="{one.family}" d="M{path}"/>'


def _frontier(shown: Sequence[Point], x: Scale, y: Scale) -> Iterable[str]:
    corners = _frontier_corners(shown, x, y)
    if corners:
        path = "L".join(f"{across:.1f} {down:.1f}" for across, down in corners)
        yield f'<path class="frontier" d="M{path}"/>'


def _frontier_corners(shown: Sequence[Point], x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Corners of the frontier's step line, from the cheapest recipe on."""
    leading = sorted((one for one in shown if one.frontier), key=lambda one: one.cost)
    corners: list[tuple[float, float]] = []
    for one in leading:
        across, down = x.at(one.cost), y.at(one.score.value)
        corners += [(across, corners[-1][1])] if corners else []
        corners.append((across, down))
    return [*corners, (x.end, corners[-1][1])] if corners else []


def _bar(one: Point, x: Scale, y: Scale) -> str:
    across = x.at(one.cost)
    kind = f"bar c{one.family % COLOURS}"
    return _line(kind, across, y.at(one.score.low), across, y.at(one.score.high), one.family)


def _points(
    shown: Sequence[Point], x: Scale, y: Scale, where: Sequence[LabelPlace]
) -> Iterable[str]:
    for one, place in zip(shown, where, strict=True):
        across, down = x.at(one.cost), y.at(one.score.value)
        leader = _leader(across, down, place) if place.gap > _LEADER else ""
        ring = f'<circle class="ring" r="{_RADIUS + 4:g}"/>' if one.frontier else ""
        yield (
            f'<g class="point" tabindex="0" role="img" aria-label="{escape(one.said)}" '
            f'data-tip="{one.number}" data-family="{one.family}">{leader}'
            f'<g class="at" transform="translate({across:.1f} {down:.1f})">{ring}'
            f"{marker(one.family)}</g>"
            f"{_text('label', place.x, place.y, one.label, place.anchor)}</g>"
        )


def _leader(across: float, down: float, place: LabelPlace) -> str:
    box = place.box
    end_x = min(max(across, box.left), box.right)
    end_y = min(max(down, box.top + 2), box.bottom - 2)
    return _line("leader", across, down, end_x, end_y)


def _label_places(
    shown: Sequence[Point], x: Scale, y: Scale, reference: Interval | None
) -> list[LabelPlace]:
    at = [(x.at(one.cost), y.at(one.score.value)) for one in shown]
    size = _RADIUS + 2
    bars = [
        Box(across - 1.5, y.at(one.score.high), across + 1.5, y.at(one.score.low))
        for one, (across, _) in zip(shown, at, strict=True)
    ]
    level = [y.at(reference.value)] if reference and math.isfinite(reference.value) else []
    across = [(end, one) for one in level for end in (x.start, x.end)]
    area = Box(x.start + 2, y.end, x.end - 2, y.start - 2)
    return places(
        [one.label for one in shown],
        Ground(
            area=area,
            points=[Box(a - size, d - size, a + size, d + size) for a, d in at],
            lines=[*bars, *_segments(_frontier_corners(shown, x, y)), *_segments(across)],
        ),
    )


def _segments(corners: Sequence[tuple[float, float]]) -> Iterable[Box]:
    """The segments of a step line as thin boxes."""
    for (x1, y1), (x2, y2) in pairwise(corners):
        yield Box(min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float, family: int | None = None) -> str:
    data = "" if family is None else f' data-family="{family}"'
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{data}/>'


def _text(kind: str, x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
