"""A comparison as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from string import Template

from forethought.contracts.comparison import Comparison, RecipeResult
from forethought.reports import equal_cost, figures
from forethought.reports.charts import chart
from forethought.reports.charts.chart import Plane, Point
from forethought.reports.comparison_csv import comparison_csv
from forethought.reports.document import MEASURED, embedded
from forethought.reports.figures import Axis
from forethought.reports.finding import finding
from forethought.reports.html import page_tables
from forethought.reports.html.comparison_view import ComparisonView
from forethought.reports.html.page_shell import VIEWS, listed, page, part

_SIZES = {"wide": (1050.0, 520.0), "narrow": (350.0, 500.0)}


def comparison_html(comparison: Comparison, *, title: str, timing: bool = True) -> str:
    """The finding, charts with a table behind each, and downloads of all numbers.

    Without `timing` nothing that a clock measured is in it, and not what it was made on: it
    is then the same for the same scores and costs.
    """
    reading = ComparisonView(comparison, timing)
    return page(
        title=title,
        finding=finding(comparison, timing=timing),
        context=_context(reading),
        sections=_sections(reading),
        caveats=figures.caveats(comparison),
        provenance=comparison.provenance if timing else {},
        tips="".join(_tips(reading)),
        data=_embedded(comparison, timing),
    )


def _sections(reading: ComparisonView) -> str:
    parts = {
        "axis_buttons": "".join(_axis_buttons(reading.axes)),
        "view_buttons": VIEWS,
        "scatters": "".join(_scatters(reading)),
        "legend": "".join(_legend(reading)),
        "standings": page_tables.standings(reading),
        "equal": equal_cost.section(reading.comparison),
        "heat": page_tables.heat(reading),
        "by_task": page_tables.by_task(reading),
        "references": "".join(_references(reading)),
        "differences": "".join(
            page_tables.differences(reading, number) for number in range(len(reading.names))
        ),
    }
    return Template(part("comparison.html")).substitute(parts)


def _context(reading: ComparisonView) -> str:
    shared = [f"<code>{escape(part)}</code>" for part in reading.recipes.shared]
    settings = (
        [f"each with {escape(', '.join(reading.tasks.shared))}"] if reading.tasks.shared else []
    )
    return " · ".join([*shared, escape(figures.scope(reading.comparison)), *settings])


def _axis_buttons(axes: Sequence[Axis]) -> Iterable[str]:
    for axis in axes:
        pressed = "true" if axis is axes[0] else "false"
        yield (
            f'<button type="button" data-axis-button="{axis.name}" aria-pressed="{pressed}">'
            f"{escape(axis.title)}</button>"
        )


def _scatters(reading: ComparisonView) -> Iterable[str]:
    for axis in reading.axes:
        hidden = "" if axis is reading.axes[0] else " hidden"
        shown = _points(reading, axis)
        drawn = "".join(
            f'<div class="{name}">{chart.scatter(shown, _plane(reading, axis, size))}</div>'
            for name, size in _SIZES.items()
        )
        yield f'<div data-axis="{axis.name}"{hidden}>{drawn}{_left_out(reading, axis)}</div>'


def _left_out(reading: ComparisonView, axis: Axis) -> str:
    gone = [
        name
        for name, one in zip(reading.names, reading.comparison.standings, strict=True)
        if not (math.isfinite(axis.cost(one)) and axis.cost(one) > 0)
    ]
    if not gone:
        return ""
    return f'<p class="note">Without a place on this axis: {escape(", ".join(gone))}.</p>'


def _points(reading: ComparisonView, axis: Axis) -> list[Point]:
    return [
        Point(
            label=reading.labels[number],
            said=_said(reading, number, axis),
            number=number,
            family=reading.families[number],
            cost=axis.cost(one),
            score=one.score,
            frontier=axis.name in one.frontier,
            chances=one.chances,
            fewer=_fewer(one, axis),
        )
        for number, one in enumerate(reading.comparison.standings)
        if math.isfinite(one.score.value)
    ]


def _fewer(one: RecipeResult, axis: Axis) -> tuple[tuple[float, float], ...]:
    """What fewer answers cost and score, where this axis is one of those it is known for."""
    if axis.name not in ("tokens", "flops"):
        return ()
    return tuple((getattr(less, axis.name), less.score) for less in one.fewer)


def _said(reading: ComparisonView, number: int, axis: Axis) -> str:
    one = reading.comparison.standings[number]
    return (
        f"{reading.names[number]}: score {figures.points(one.score.value)}, "
        f"{figures.span(one.score)}; {axis.title} {figures.amount(axis, axis.cost(one))}"
    )


def _plane(reading: ComparisonView, axis: Axis, size: tuple[float, float]) -> Plane:
    return Plane(
        *size,
        cost_title=f"{axis.meaning} (log)",
        cost_shown=lambda value: _round_amount(axis, value),
        binary=axis.binary,
        reference=reading.comparison.standings[0].score,
        reference_name=reading.names[0],
    )


def _round_amount(axis: Axis, value: float) -> str:
    """An amount without the zeros that say nothing about a round value."""
    number, _, unit = axis.shown(value).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def _legend(reading: ComparisonView) -> Iterable[str]:
    for family, name in enumerate(reading.family_names):
        yield f'<li data-family="{family}">{chart.key(family)}{escape(name)}</li>'
    yield (
        '<li><svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">'
        '<circle class="ring" r="6"/></svg>no recipe is as good and cheaper</li>'
    )
    yield (
        '<li><svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">'
        '<path class="step" d="M-7 6H0V-5H7"/></svg>frontier</li>'
    )
    yield "<li>bars: 95 % intervals</li>"
    if any(one.chances for one in reading.comparison.standings):
        yield (
            '<li><svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><rect class="room" '
            'x="-5" y="-8" width="10" height="16" rx="3"/></svg>from a blind choice among its '
            "answers to the best of them</li>"
        )
    if any(one.fewer for one in reading.comparison.standings):
        yield (
            '<li><svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">'
            '<path class="way" d="M-8 6L8-4"/></svg>scores with 1, 2, 4 … answers</li>'
        )


def _references(reading: ComparisonView) -> Iterable[str]:
    for number, name in enumerate(reading.names):
        yield f'<option value="{number}">{escape(name)}</option>'


def _tips(reading: ComparisonView) -> Iterable[str]:
    for number, one in enumerate(reading.comparison.standings):
        facts = listed(dict(page_tables.facts(reading, number)))
        yield (
            f'<div class="tip" id="tip-{number}" role="tooltip">'
            f"<strong>{escape(one.recipe)}</strong>{facts}</div>"
        )


def _embedded(comparison: Comparison, timing: bool) -> str:
    table = comparison_csv(comparison, timing=timing)
    without = () if timing else MEASURED
    return embedded({"name": "comparison", "comparison": asdict(comparison), "csv": table}, without)
