"""A comparison as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from forethought.contracts.comparison import Comparison
from forethought.reports import chart, figures, page_tables
from forethought.reports.chart import Plane, Point
from forethought.reports.comparison_csv import comparison_csv
from forethought.reports.figures import Axis
from forethought.reports.finding import finding
from forethought.reports.page_tables import Reading

_SIZES = {"wide": (1050.0, 520.0), "narrow": (350.0, 500.0)}
_VIEWS = (
    '<div class="choices views" role="group" aria-label="View">'
    '<button type="button" data-show="chart" aria-pressed="true">Chart</button>'
    '<button type="button" data-show="table" aria-pressed="false">Table</button></div>'
)


def comparison_html(comparison: Comparison, *, title: str, timing: bool = True) -> str:
    """The finding, charts with a table behind each, and downloads of all numbers.

    Without `timing` nothing that a clock measured is in it, and not what it was made on: it
    is then the same for the same scores and costs.
    """
    reading = Reading(comparison, timing)
    folder = files("forethought.reports") / "page"
    parts = {
        "title": escape(title),
        "style": (folder / "page.css").read_text("utf-8"),
        "script": (folder / "page.js").read_text("utf-8"),
        "finding": _prose(finding(comparison, timing=timing)),
        "context": _context(reading),
        "axis_buttons": "".join(_axis_buttons(reading.axes)),
        "view_buttons": _VIEWS,
        "scatters": "".join(_scatters(reading)),
        "legend": "".join(_legend(reading)),
        "standings": page_tables.standings(reading),
        "heat": page_tables.heat(reading),
        "by_task": page_tables.by_task(reading),
        "references": "".join(_references(reading)),
        "differences": "".join(
            page_tables.differences(reading, number) for number in range(len(reading.names))
        ),
        "caveats": "".join(f"<p>{_prose(line)}</p>" for line in figures.caveats(comparison)),
        "provenance": _provenance(comparison.provenance if timing else {}),
        "tips": "".join(_tips(reading)),
        "data": _embedded(comparison, timing),
    }
    return Template((folder / "page.html").read_text("utf-8")).substitute(parts)


def _prose(text: str) -> str:
    """Text in which no number is parted from its sign at the end of a line."""
    return escape(text).replace(" %", "&nbsp;%").replace(" ×", "&nbsp;×")


def _context(reading: Reading) -> str:
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


def _scatters(reading: Reading) -> Iterable[str]:
    for axis in reading.axes:
        hidden = "" if axis is reading.axes[0] else " hidden"
        shown = _points(reading, axis)
        drawn = "".join(
            f'<div class="{name}">{chart.scatter(shown, _plane(reading, axis, size))}</div>'
            for name, size in _SIZES.items()
        )
        yield f'<div data-axis="{axis.name}"{hidden}>{drawn}{_left_out(reading, axis)}</div>'


def _left_out(reading: Reading, axis: Axis) -> str:
    gone = [
        name
        for name, one in zip(reading.names, reading.comparison.standings, strict=True)
        if not (math.isfinite(axis.cost(one)) and axis.cost(one) > 0)
    ]
    if not gone:
        return ""
    return f'<p class="note">Without a place on this axis: {escape(", ".join(gone))}.</p>'


def _points(reading: Reading, axis: Axis) -> list[Point]:
    return [
        Point(
            label=reading.labels[number],
            said=_said(reading, number, axis),
            number=number,
            family=reading.families[number],
            cost=axis.cost(one),
            score=one.score,
            frontier=axis.name in one.frontier,
        )
        for number, one in enumerate(reading.comparison.standings)
        if math.isfinite(one.score.value)
    ]


def _said(reading: Reading, number: int, axis: Axis) -> str:
    one = reading.comparison.standings[number]
    return (
        f"{reading.names[number]}: score {figures.points(one.score.value)}, "
        f"{figures.span(one.score)}; {axis.title} {figures.amount(axis, axis.cost(one))}"
    )


def _plane(reading: Reading, axis: Axis, size: tuple[float, float]) -> Plane:
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


def _legend(reading: Reading) -> Iterable[str]:
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


def _references(reading: Reading) -> Iterable[str]:
    for number, name in enumerate(reading.names):
        yield f'<option value="{number}">{escape(name)}</option>'


def _tips(reading: Reading) -> Iterable[str]:
    for number, one in enumerate(reading.comparison.standings):
        rows = page_tables.facts(reading, number)
        listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
        yield (
            f'<div class="tip" id="tip-{number}" role="tooltip">'
            f"<strong>{escape(one.recipe)}</strong><dl>{listed}</dl></div>"
        )


def _provenance(provenance: Mapping[str, str]) -> str:
    if not provenance:
        return ""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in provenance.items()
    )
    return f"<dl>{rows}</dl>"


def _embedded(comparison: Comparison, timing: bool) -> str:
    """All numbers as JSON that no HTML parser takes for the end of its element."""
    document = {
        "name": "comparison",
        "comparison": _plain(asdict(comparison), timing),
        "csv": comparison_csv(comparison, timing=timing),
    }
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _plain(value: Any, timing: bool) -> Any:
    """Values that JSON knows; what is not a number is null."""
    if isinstance(value, dict):
        left_out = () if timing else ("first_token", "provenance")
        return {str(key): _plain(one, timing) for key, one in value.items() if key not in left_out}
    if isinstance(value, frozenset):
        return sorted(one for one in value if timing or one != "first_token")
    if isinstance(value, list | tuple):
        return [_plain(one, timing) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
