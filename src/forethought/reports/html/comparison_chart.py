"""The chart of a comparison: score against cost."""

from __future__ import annotations

import math

from forethought.contracts.comparison import RecipeResult
from forethought.reports import figures
from forethought.reports.charts.chart import Plane, Point, scatter
from forethought.reports.figures import Axis
from forethought.reports.html.comparison_view import ComparisonView


def comparison_chart(view: ComparisonView, axis: Axis, size: tuple[float, float]) -> str:
    """The scatter chart over one axis, for a page that supplies the style sheet and tooltips."""
    return scatter(_points(view, axis), _plane(view, axis, size))


def _points(view: ComparisonView, axis: Axis) -> list[Point]:
    return [
        Point(
            label=view.labels[number],
            said=_said(view, number, axis),
            number=number,
            family=view.families[number],
            cost=axis.cost(one),
            score=one.score,
            frontier=axis.name in one.frontier,
            chances=one.chances,
            fewer=_fewer(one, axis),
        )
        for number, one in enumerate(view.comparison.standings)
        if math.isfinite(one.score.value)
    ]


def _fewer(one: RecipeResult, axis: Axis) -> tuple[tuple[float, float], ...]:
    """Cost and score with fewer answers, for the axes tokens and FLOPs."""
    if axis.name not in ("tokens", "flops"):
        return ()
    return tuple((getattr(less, axis.name), less.score) for less in one.fewer)


def _said(view: ComparisonView, number: int, axis: Axis) -> str:
    one = view.comparison.standings[number]
    return (
        f"{view.names[number]}: score {figures.points(one.score.value)}, "
        f"{figures.span(one.score)}; {axis.title} {figures.amount(axis, axis.cost(one))}"
    )


def _plane(view: ComparisonView, axis: Axis, size: tuple[float, float]) -> Plane:
    return Plane(
        *size,
        cost_title=f"{axis.meaning} (log)",
        cost_shown=lambda value: _round_amount(axis, value),
        binary=axis.binary,
        reference=view.comparison.standings[0].score,
        reference_name=view.names[0],
    )


def _round_amount(axis: Axis, value: float) -> str:
    """A round amount without trailing zeros."""
    number, _, unit = axis.shown(value).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"
