"""HTML tables of a comparison's page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from forethought.contracts.comparison import Difference, Interval, RecipeResult
from forethought.contracts.sources import LEGEND
from forethought.reports import figures, published
from forethought.reports.charts import chart
from forethought.reports.charts.scale import Scale, linear_scale, ticks
from forethought.reports.extra_tables import ExtraTable
from forethought.reports.figures import Axis
from forethought.reports.html.comparison_view import ComparisonView

_DARK_FROM, _BRIGHT_FROM = 0.68, 0.56  # shades from which the other ink is legible


def results(view: ComparisonView) -> str:
    """The table of all figures of every recipe."""
    stated = published.stated(view.comparison)
    about = [published.TITLE] if stated else []
    heading = ["recipe", *about, "score", "95 %", "difference", "95 %", "p"]
    for axis in view.axes:
        heading += [axis.title, "×"]
    rows = [_result_row(view, number) for number in range(len(view.names))]
    note = (
        f"Differences and × are to {view.names[0]}. "
        "★ no recipe is as good and cheaper by that cost; n: questions."
    )
    legend = f'<p class="note">{published.TITLE}: {escape(LEGEND)}</p>' if stated else ""
    table = _table([*heading, "tokens read", "n"], rows)
    return f'{table}<p class="note">{escape(note)}</p>{legend}'


def facts(view: ComparisonView, number: int) -> list[tuple[str, str]]:
    """The rows of one recipe's tooltip."""
    one, first = view.comparison.standings[number], view.comparison.standings[0]
    change = figures.difference(view.comparison, one.recipe, first.recipe)
    rows = [("score", f"{figures.points(one.score.value)} ({figures.span(one.score)})")]
    if change:
        rows.append((f"minus {view.names[0]}", _change_text(change.interval)))
        rows.append(("p", _p_value(change.p_value)))
        rows.append(("better, worse on", f"{change.wins:,}, {change.losses:,} questions"))
    for axis in view.axes:
        rows.append((axis.title, _cost_text(one, first, axis)))
    rows += _chances(one)
    rows.append(("prompt tokens read", f"{one.read:,.0f}"))
    return [*rows, ("questions", f"{one.questions:,}")]


def _chances(one: RecipeResult) -> list[tuple[str, str]]:
    if one.chances is None:
        return []
    worst, random, oracle = map(
        figures.points, (one.chances.worst, one.chances.random, one.chances.oracle)
    )
    return [("a blind choice", random), ("the best choice", oracle), ("the worst choice", worst)]


def heat(view: ComparisonView) -> str:
    """The heat map of scores by task, from 0 to 100."""
    tasks = [_breakable(name) for name in view.tasks.short]
    heading = "".join(f"<th>{name}</th>" for name in tasks)
    rows = "".join(
        f"<tr>{_label(view, number)}{_heat_cell(one.score, 'all')}<td class='gap'></td>"
        f"{''.join(_heat_cell(one.tasks.get(task)) for task in view.comparison.tasks)}</tr>"
        for number, one in enumerate(view.comparison.standings)
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Scores by task">'
        f'<table class="heat"><thead><tr><th>recipe</th><th>all</th><th class="gap"></th>{heading}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="note">Points of 100; the colour runs from 0 to 100.</p>'
    )


def by_task(view: ComparisonView) -> str:
    """The table of scores by task, with intervals."""
    rows = [
        [
            _name(view, number),
            *(_with_bounds(one.tasks.get(task)) for task in view.comparison.tasks),
        ]
        for number, one in enumerate(view.comparison.standings)
    ]
    return _table(["recipe", *view.tasks.short], rows)


def section(table: ExtraTable) -> str:
    """A section of the page with one more table."""
    body = [[f'<th scope="row">{escape(row[0])}</th>', *map(_cell, row[1:])] for row in table.rows]
    return (
        f'<section id="{table.name}"><div class="head"><h2>{table.title}</h2></div>'
        f'{_table(table.heading, body)}<p class="note">{escape(table.note)}</p></section>'
    )


def differences(view: ComparisonView, against: int) -> str:
    """Differences of all other recipes to one, as dots with intervals and as a table."""
    first = view.comparison.standings[against].recipe
    found = [
        (number, change)
        for number, one in enumerate(view.comparison.standings)
        if (change := figures.difference(view.comparison, one.recipe, first))
    ]
    hidden = " hidden" if against else ""
    if not found:
        shown = '<p class="empty">No other recipe answered these questions.</p>'
        return f'<div data-against="{against}"{hidden}>{shown}</div>'
    heading = ["recipe", "difference", "95 %", "p", "better on", "worse on", "of", "detectable"]
    table = _table(heading, [_difference(view, *pair) for pair in found])
    return (
        f'<div data-against="{against}"{hidden}><div class="chart">{_plots(view, found)}</div>'
        f'<div class="table">{table}</div></div>'
    )


def _result_row(view: ComparisonView, number: int) -> list[str]:
    one, first = view.comparison.standings[number], view.comparison.standings[0]
    change = figures.difference(view.comparison, one.recipe, first.recipe)
    cells = [_cell(figures.points(one.score.value)), _bounds(figures.span(one.score))]
    if change:
        cells += [_change(change.interval), _bounds(figures.signed_span(change.interval))]
        cells.append(_cell(_p_value(change.p_value)))
    else:
        cells += [_cell("")] * 3
    for axis in view.axes:
        cells.append(_cell(figures.amount(axis, axis.cost(one))))
        share = figures.factor(axis.cost(one), axis.cost(first))
        cells.append(_signed_cell(share, "★" if axis.name in one.frontier else ""))
    about = map(_cell, published.cells(view.comparison)[number])
    read = [_cell(f"{one.read:,.0f}"), _cell(f"{one.questions:,}")]
    return [_name(view, number), *about, *cells, *read]


def _difference(view: ComparisonView, number: int, change: Difference) -> list[str]:
    found = change.interval
    return [
        _name(view, number),
        _change(found),
        _bounds(figures.signed_span(found)),
        _cell(_p_value(change.p_value)),
        _cell(f"{change.wins:,}"),
        _cell(f"{change.losses:,}"),
        _cell(f"{change.questions:,}"),
        _cell(figures.points(change.detectable)),
    ]


def _plots(view: ComparisonView, found: Sequence[tuple[int, Difference]]) -> str:
    scale = _difference_scale([change.interval for _, change in found])
    marks = ticks(scale, 6)
    axis = "".join(
        f'<span style="left:{scale.at(mark):.2f}%">{_tick(mark)}</span>' for mark in marks
    )
    rows = "".join(_plot(view, number, change, scale, marks) for number, change in found)
    return (
        '<table class="plots"><thead><tr><th class="name">recipe</th>'
        f'<th class="plot"><span class="axis">{axis}</span></th>'
        '<th class="value">points</th><th class="bounds">95 %</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _plot(
    view: ComparisonView, number: int, change: Difference, scale: Scale, marks: Sequence[float]
) -> str:
    found = change.interval
    kind = "above" if found.low > 0 else "below" if found.high < 0 else "even"
    drawn = chart.interval_row(found, scale, marks, kind) if _finite(found) else ""
    return (
        f'<tr>{_label(view, number, "name")}<td class="plot">{drawn}</td>'
        f"{_change(found, 'value')}{_bounds(figures.signed_span(found))}</tr>"
    )


def _difference_scale(intervals: Sequence[Interval]) -> Scale:
    bounds = [bound for one in intervals if _finite(one) for bound in (one.low, one.high)]
    return linear_scale([0.0, *bounds], 2.0, 98.0, within=(-1.0, 1.0))


def _finite(interval: Interval) -> bool:
    return all(map(math.isfinite, (interval.low, interval.value, interval.high)))


def _tick(value: float) -> str:
    return f"{100 * value:+.3g}".replace("-", figures.MINUS) if value else "0"


def _heat_cell(interval: Interval | None, kind: str = "") -> str:
    if interval is None or not math.isfinite(interval.value):
        return f'<td class="none">{figures.MISSING}</td>'
    value = min(max(interval.value, 0.0), 1.0)
    classes = [
        kind,
        "light-ink" if value >= _DARK_FROM else "",
        "dark-ink" if value >= _BRIGHT_FROM else "",
    ]
    return (
        f'<td class="{" ".join(filter(None, classes))}" style="--v:{value:.3f}" '
        f'title="{figures.span(interval)}">{figures.points(interval.value)}</td>'
    )


def _with_bounds(interval: Interval | None) -> str:
    if interval is None:
        return _cell(figures.MISSING)
    bounds = figures.span(interval)
    return f"<td>{figures.points(interval.value)}<small>{bounds}</small></td>"


def _change_text(interval: Interval) -> str:
    shown = f"{figures.signed(interval.value)} ({figures.signed_span(interval)})"
    return f"{shown} {figures.mark(interval)}".strip()


def _cost_text(one: RecipeResult, first: RecipeResult, axis: Axis) -> str:
    star = " ★" if axis.name in one.frontier else ""
    share = figures.factor(axis.cost(one), axis.cost(first))
    return f"{figures.amount(axis, axis.cost(one))}, {share} ×{star}"


def _p_value(value: float) -> str:
    if not math.isfinite(value):
        return figures.MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _label(view: ComparisonView, number: int, kind: str = "") -> str:
    return _name(view, number, kind, view.labels[number])


def _name(view: ComparisonView, number: int, kind: str = "", shown: str = "") -> str:
    full = escape(view.comparison.standings[number].recipe)
    sign = chart.key(view.families[number])
    given = f' class="{kind}"' if kind else ""
    return f'<th scope="row"{given} title="{full}">{sign}{escape(shown or view.names[number])}</th>'


def _breakable(name: str) -> str:
    return escape(name).replace("-", "-<wbr>")


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _change(interval: Interval, kind: str = "") -> str:
    return _signed_cell(figures.signed(interval.value), figures.mark(interval), kind)


def _signed_cell(text: str, sign: str, kind: str = "") -> str:
    """A number with space for a sign, so that numbers align."""
    given = f' class="{kind}"' if kind else ""
    return f'<td{given}>{escape(text)}<span class="sign">{sign}</span></td>'


def _bounds(text: str) -> str:
    return f'<td class="bounds">{escape(text)}</td>'


def _table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f'<th scope="col">{_breakable(one)}</th>' for one in heading)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        '<div class="scroll"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
