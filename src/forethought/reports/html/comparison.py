"""A comparison as one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from string import Template

from forethought.contracts.comparison import Comparison
from forethought.reports import figures
from forethought.reports.charts import chart
from forethought.reports.comparison_csv import comparison_csv
from forethought.reports.document import MEASURED, embedded
from forethought.reports.extra_tables import extra_tables
from forethought.reports.figures import Axis
from forethought.reports.finding import finding
from forethought.reports.html import page_tables
from forethought.reports.html.comparison_chart import comparison_chart
from forethought.reports.html.comparison_view import ComparisonView
from forethought.reports.html.page_shell import VIEWS, listed, page, part

_SIZES = {"wide": (1050.0, 520.0), "narrow": (350.0, 500.0)}


def comparison_html(comparison: Comparison, *, title: str, timing: bool = True) -> str:
    """The finding, charts with their tables, and downloads of all numbers.

    Without `timing` the page leaves out measured times and provenance, so equal scores and costs
    give an equal page.
    """
    view = ComparisonView(comparison, timing)
    return page(
        title=title,
        finding=finding(comparison, timing=timing),
        context=_context(view),
        sections=_sections(view),
        caveats=figures.caveats(comparison),
        provenance=comparison.provenance if timing else {},
        tips="".join(_tips(view)),
        data=_embedded(comparison, timing),
    )


def _sections(view: ComparisonView) -> str:
    parts = {
        "axis_buttons": "".join(_axis_buttons(view.axes)),
        "view_buttons": VIEWS,
        "scatters": "".join(_scatters(view)),
        "legend": "".join(_legend(view)),
        "standings": page_tables.results(view),
        "extra": "".join(map(page_tables.section, extra_tables(view.comparison))),
        "heat": page_tables.heat(view),
        "by_task": page_tables.by_task(view),
        "references": "".join(_references(view)),
        "differences": "".join(
            page_tables.differences(view, number) for number in range(len(view.names))
        ),
    }
    return Template(part("comparison.html")).substitute(parts)


def _context(view: ComparisonView) -> str:
    shared = [f"<code>{escape(part)}</code>" for part in view.recipes.shared]
    settings = [f"each with {escape(', '.join(view.tasks.shared))}"] if view.tasks.shared else []
    return " · ".join([*shared, escape(figures.scope(view.comparison)), *settings])


def _axis_buttons(axes: Sequence[Axis]) -> Iterable[str]:
    for axis in axes:
        pressed = "true" if axis is axes[0] else "false"
        yield (
            f'<button type="button" data-axis-button="{axis.name}" aria-pressed="{pressed}">'
            f"{escape(axis.title)}</button>"
        )


def _scatters(view: ComparisonView) -> Iterable[str]:
    for axis in view.axes:
        hidden = "" if axis is view.axes[0] else " hidden"
        drawn = "".join(
            f'<div class="{name}">{comparison_chart(view, axis, size)}</div>'
            for name, size in _SIZES.items()
        )
        yield f'<div data-axis="{axis.name}"{hidden}>{drawn}{_left_out(view, axis)}</div>'


def _left_out(view: ComparisonView, axis: Axis) -> str:
    gone = [
        name
        for name, one in zip(view.names, view.comparison.standings, strict=True)
        if not (math.isfinite(axis.cost(one)) and axis.cost(one) > 0)
    ]
    if not gone:
        return ""
    return f'<p class="note">Without a place on this axis: {escape(", ".join(gone))}.</p>'


def _legend(view: ComparisonView) -> Iterable[str]:
    for family, name in enumerate(view.family_names):
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
    if any(one.chances for one in view.comparison.standings):
        yield (
            '<li><svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><rect class="room" '
            'x="-5" y="-8" width="10" height="16" rx="3"/></svg>from a blind choice among its '
            "answers to the best of them</li>"
        )
    if any(one.fewer for one in view.comparison.standings):
        yield (
            '<li><svg class="key" viewBox="-8 -8 16 16" aria-hidden="true">'
            '<path class="way" d="M-8 6L8-4"/></svg>scores with 1, 2, 4 … answers</li>'
        )


def _references(view: ComparisonView) -> Iterable[str]:
    for number, name in enumerate(view.names):
        yield f'<option value="{number}">{escape(name)}</option>'


def _tips(view: ComparisonView) -> Iterable[str]:
    for number, one in enumerate(view.comparison.standings):
        facts = listed(dict(page_tables.facts(view, number)))
        yield (
            f'<div class="tip" id="tip-{number}" role="tooltip">'
            f"<strong>{escape(one.recipe)}</strong>{facts}</div>"
        )


def _embedded(comparison: Comparison, timing: bool) -> str:
    table = comparison_csv(comparison, timing=timing)
    without = () if timing else MEASURED
    return embedded({"name": "comparison", "comparison": asdict(comparison), "csv": table}, without)
