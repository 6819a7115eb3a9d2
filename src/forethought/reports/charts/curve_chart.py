"""Curves of score over the number of answers, as SVG for a page that supplies the style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from forethought.contracts.comparison import Interval
from forethought.contracts.forecast import Curve
from forethought.reports.charts.scale import Scale, linear_scale, log_scale, ticks
from forethought.reports.figures import points

_MARGIN = {"left": 46.0, "right": 18.0, "top": 14.0, "bottom": 62.0}
_LINE = 15.0  # distance between labels
_CHARACTER = 6.6
BEST, VOTE, SCORED, LIKELY = 3, 1, 2, 4
"""Indices of the style sheet's colours, by way to choose."""


@dataclass(frozen=True)
class Series:
    """One way to choose an answer, over the number of answers."""

    name: str
    colour: int
    places: Sequence[int]
    values: Sequence[Interval]

    @property
    def last(self) -> Interval:
        """Its value at the greatest number of answers."""
        return self.values[-1]


def series(one: Curve) -> list[Series]:
    """The series of a curve, the oracle first."""
    ways = (
        ("best of them", BEST, [row.oracle for row in one.reached]),
        ("vote", VOTE, [row.vote for row in one.reached]),
        (f"best by {one.scorer or 'score'}", SCORED, [row.scored for row in one.reached]),
        ("likeliest", LIKELY, [row.likely for row in one.reached]),
    )
    places = [row.answers for row in one.reached]
    return [
        Series(name, colour, places, [value for value in values if value is not None])
        for name, colour, values in ways
        if all(value is not None for value in values)
    ]


def curve_chart(one: Curve, number: int, width: float, height: float) -> str:
    """Scores against the number of answers, with beliefs about more answers dashed.

    Tooltips have the id `number-answers`.
    """
    ways, ahead = series(one), one.further
    counts = [row.answers for row in one.reached] + [row.answers for row in ahead]
    x = log_scale([1.0, *map(float, counts)], _MARGIN["left"], width - _MARGIN["right"])
    bounds = [one.random, *(value for way in ways for value in way.values)]
    bounds += [value for row in ahead for value in (row.oracle, row.vote)]
    y = linear_scale(
        [0.0, *(bound for value in bounds for bound in (value.low, value.high))],
        height - _MARGIN["bottom"],
        _MARGIN["top"],
        within=(0.0, 1.0),
    )
    parts = [*_grid(x, y, one, width, height), *_random(x, y, one)]
    parts += [_ribbon(x, y, ways[0].places, ways[0].values, BEST)]
    if ahead:
        parts += _extrapolation(x, y, one)
    parts += [_path(x, y, way.places, way.values, f"curve c{way.colour}") for way in ways]
    parts += [*_marks(x, y, one, number), *_labels(x, y, one, ways, width)]
    return (
        f'<svg class="scatter" viewBox="0 0 {width:g} {height:g}" role="group" '
        f'aria-label="Score against the number of answers, {escape(one.recipe)}">'
        f"{''.join(parts)}</svg>"
    )


def _grid(x: Scale, y: Scale, one: Curve, width: float, height: float) -> Iterable[str]:
    for value in ticks(y, 6):
        yield _line("grid", x.start, y.at(value), x.end, y.at(value))
        yield _text("tick", x.start - 8, y.at(value) + 4, f"{100 * value:.3g}", "end")
    rows = [(row.answers, row.tokens) for row in one.reached]
    rows += [(row.answers, row.tokens) for row in one.further]
    last = -math.inf
    for answers, tokens in rows:
        at = x.at(answers)
        yield _line("grid", at, y.end, at, y.start)
        if at - last > 44:
            yield _text("tick", at, y.start + 17, f"{answers:,}", "middle")
            yield _text("aside", at, y.start + 31, _short(tokens), "middle")
            last = at
    yield _line("base", x.start, y.start, x.end, y.start)
    title = "answers to a question, and the tokens they take (log)"
    yield _text("title", (x.start + x.end) / 2, height - 8, title[: int(width / 5)], "middle")
    middle = (y.start + y.end) / 2
    yield (
        f'<text class="title" transform="translate(12 {middle:.1f}) rotate(-90)" '
        'text-anchor="middle">score, points of 100</text>'
    )


def _short(tokens: float) -> str:
    """A short form of a token count."""
    return f"{tokens:,.0f}" if tokens < 9999.5 else f"{tokens / 1000:,.0f}k"


def _random(x: Scale, y: Scale, one: Curve) -> Iterable[str]:
    top, bottom = y.at(one.random.high), y.at(one.random.low)
    yield (
        f'<rect class="band" x="{x.start:g}" y="{top:.1f}" width="{x.end - x.start:g}" '
        f'height="{max(bottom - top, 0):.1f}"/>'
    )
    yield _line("reference", x.start, y.at(one.random.value), x.end, y.at(one.random.value))


def _extrapolation(x: Scale, y: Scale, one: Curve) -> Iterable[str]:
    last = one.reached[-1]
    places = [last.answers, *(row.answers for row in one.further)]
    best = [last.oracle, *(row.oracle for row in one.further)]
    vote = [last.vote, *(row.vote for row in one.further)]
    for values, colour in ((vote, VOTE), (best, BEST)):
        yield _ribbon(x, y, places, values, colour, "further")
        yield _path(x, y, places, values, f"curve further c{colour}")
    first = next((row.answers for row in one.further if row.prior_driven), None)
    if first is not None:
        yield _line("reference", x.at(first), y.start, x.at(first), y.end)
        yield _text("aside", x.at(first) - 4, y.end + 10, "prior-driven", "end")


def _ribbon(
    x: Scale,
    y: Scale,
    places: Sequence[int],
    values: Sequence[Interval],
    colour: int,
    more: str = "",
) -> str:
    """The band of intervals."""
    above = [(x.at(k), y.at(value.high)) for k, value in zip(places, values, strict=True)]
    below = [(x.at(k), y.at(value.low)) for k, value in zip(places, values, strict=True)]
    path = "L".join(f"{across:.1f} {down:.1f}" for across, down in [*above, *reversed(below)])
    return f'<path class="ribbon {more} c{colour}" d="M{path}Z"/>'


def _path(x: Scale, y: Scale, places: Sequence[int], values: Sequence[Interval], kind: str) -> str:
    at = zip(places, values, strict=True)
    path = "L".join(f"{x.at(k):.1f} {y.at(value.value):.1f}" for k, value in at)
    return f'<path class="{kind}" d="M{path}"/>'


def _marks(x: Scale, y: Scale, one: Curve, number: int) -> Iterable[str]:
    """A dot with a tooltip for each number of answers."""
    rows = [(row.answers, row.oracle) for row in one.reached]
    rows += [(row.answers, row.oracle) for row in one.further]
    for answers, value in rows:
        said = f"{answers} answers: best {points(value.value)}"
        yield (
            f'<g class="point" tabindex="0" role="img" aria-label="{said}" '
            f'data-tip="{number}-{answers}"><g class="at c{BEST}" '
            f'transform="translate({x.at(answers):.1f} {y.at(value.value):.1f})">'
            '<circle class="mark" r="4.5"/></g></g>'
        )


def _labels(x: Scale, y: Scale, one: Curve, ways: Sequence[Series], width: float) -> Iterable[str]:
    """Labels at the ends of the lines, without overlap."""
    best, *others = [(way.name, way.last.value, way.colour) for way in ways]
    end = x.at(one.reached[-1].answers)
    # The oracle's line continues as extrapolation, so its label goes before the last point.
    before = end - _CHARACTER * (len(best[0]) + 6) > _MARGIN["left"]
    across, anchor = (end - 8, "end") if before else (end + 8, "start")
    yield _label(across, y.at(best[1]) - 9, anchor, best)
    others.append(("one at random", one.random.value, 0))
    wide = max(len(name) for name, *_ in others) + 6
    left = end + 10 + wide * _CHARACTER > width - 4
    # Without room beyond the last point, labels go above the ends of their lines.
    across, anchor = (width - _MARGIN["right"] - 2, "end") if left else (end + 10, "start")
    last = y.at(best[1]) if not before else -math.inf
    for name in sorted(others, key=lambda one: -one[1]):
        above = left or name is others[-1]
        last = max(y.at(name[1]) + (-7 if above else 4), last + _LINE)
        yield _label(across, last, anchor, name)


def _label(across: float, down: float, anchor: str, named: tuple[str, float, int]) -> str:
    name, value, colour = named
    return _text(f"label named c{colour}", across, down, f"{name} {points(value)}", anchor)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(kind: str, x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
