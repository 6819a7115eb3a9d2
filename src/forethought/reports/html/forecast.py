"""A forecast as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from html import escape

from forethought.contracts.comparison import Interval
from forethought.contracts.forecast import Curve, Forecast
from forethought.reports import figures, units
from forethought.reports.charts.curve_chart import curve_chart, series
from forethought.reports.document import embedded
from forethought.reports.forecast_tables import (
    Shown,
    caveats,
    curve_table,
    difficulty_table,
    economics_table,
    finding,
)
from forethought.reports.html.page_shell import VIEWS, listed, page, prose
from forethought.reports.terminal.forecast import forecast_csv

_SIZES = {"wide": (1050.0, 470.0), "narrow": (350.0, 440.0)}


def forecast_html(found: Forecast, *, title: str) -> str:
    """The finding, a chart with its table for each recipe and task, and difficulty tables."""
    return page(
        title=title,
        finding=finding(found),
        context="",
        sections="".join(_sections(found)),
        caveats=caveats(found),
        provenance=found.provenance,
        tips="".join(tip for number, one in enumerate(found.curves) for tip in _tips(one, number)),
        data=embedded({"name": "forecast", "forecast": asdict(found), "csv": forecast_csv(found)}),
    )


def _sections(found: Forecast) -> Iterable[str]:
    for number, one in enumerate(found.curves):
        shown = curve_table(one)
        drawn = "".join(
            f'<div class="{name}">{curve_chart(one, number, *size)}</div>'
            for name, size in _SIZES.items()
        )
        yield (
            f'<section data-view="chart"><div class="head">{_heading(shown)}{VIEWS}</div>'
            f'<div class="chart">{drawn}</div><div class="table">{_table(shown)}</div>'
            f"{_notes(shown)}</section>"
        )
    more = [*map(economics_table, found.economics), *map(difficulty_table, found.difficulties)]
    for shown in more:
        yield (
            f'<section><div class="head">{_heading(shown)}</div>{_table(shown)}'
            f"{_notes(shown)}</section>"
        )


def _heading(shown: Shown) -> str:
    return f'<h2>{escape(shown.title)}</h2><span class="scope">{escape(shown.context)}</span>'


def _notes(shown: Shown) -> str:
    return "".join(f'<p class="note">{prose(note)}</p>' for note in shown.notes)


def _table(shown: Shown) -> str:
    top = "".join(f'<th scope="col">{escape(one)}</th>' for one in shown.heading)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in shown.rows
    )
    return (
        '<div class="scroll"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _tips(one: Curve, number: int) -> Iterable[str]:
    ways = series(one)
    for place, row in enumerate(one.reached):
        values = {way.name: _with_span(way.values[place]) for way in ways}
        values["one at random"] = figures.points(one.random.value)
        yield _tip(number, row.answers, values, row.tokens, row.flops)
    for place, further in enumerate(one.further):
        values = {"best": _with_span(further.oracle), "vote": _with_span(further.vote)}
        values |= {name: _with_span(way.scores[place]) for name, way in one.choices.items()}
        values |= {"forecast": "prior-driven"} if further.prior_driven else {}
        yield _tip(number, further.answers, values, further.tokens, further.flops)


def _with_span(interval: Interval) -> str:
    return f"{figures.points(interval.value)} ({figures.span(interval)})"


def _tip(number: int, answers: int, values: Mapping[str, str], tokens: float, flops: float) -> str:
    cost = {"tokens": f"{tokens:,.0f}", "FLOPs": units.flops(flops)}
    return (
        f'<div class="tip" id="tip-{number}-{answers}" role="tooltip">'
        f"<strong>{answers:,} answers</strong>{listed({**values, **cost})}</div>"
    )
