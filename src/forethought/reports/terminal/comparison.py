"""A comparison as terminal text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from forethought.contracts.comparison import Comparison, Difference, RecipeResult
from forethought.contracts.sources import LEGEND
from forethought.reports import figures, published
from forethought.reports.extra_tables import ExtraTable, extra_tables
from forethought.reports.figures import Axis
from forethought.reports.finding import finding
from forethought.reports.names import Names, fitted, labels, task_names
from forethought.reports.terminal.printable import printable

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_STAR = "★"
_BOUNDS = "95 %"
_NAME = 16  # least width of a name in a narrow terminal
Rows = Sequence[Sequence[str]]
"""Cells by line; the first lines are the heading, the first column the name."""
Column = tuple[list[str], list[str]]
"""The words of a task's name, and its scores."""


def comparison_text(
    comparison: Comparison, *, width: int, colour: bool, timing: bool = True
) -> str:
    """Tables of recipes in total and by task, in at most `width` columns; finding and caveats.

    Without `timing` it leaves out measured times.
    """
    axes = figures.axes(comparison, timing)
    recipes = figures.named(comparison)
    tasks = task_names(comparison.tasks)
    rows = _fitting(comparison, recipes.short, axes, width)
    short = [row[0] for row in rows[1:]]
    notes = [*_legend(comparison, recipes.short[0], axes), *_short_names(short, recipes.short)]
    blocks = [
        _wrapped(_context(comparison, recipes, tasks), width),
        *_tables(rows, width, colour),
        _dim("\n".join(_wrapped(note, width) for note in notes), colour),
        *_extra(comparison, short, width, colour),
        *_by_task(comparison, short, tasks.short, width, colour),
        _wrapped(finding(comparison, timing=timing), width),
        _dim(
            "\n".join(_wrapped(line, width) for line in figures.caveats(comparison, timing=timing)),
            colour,
        ),
    ]
    return "\n\n".join(block for block in blocks if block)


def _context(comparison: Comparison, recipes: Names, tasks: Names) -> str:
    settings = [f"each with {', '.join(tasks.shared)}"] if tasks.shared else []
    return " · ".join([*recipes.shared, figures.scope(comparison), *settings])


def _fitting(
    comparison: Comparison, names: Sequence[str], axes: Sequence[Axis], width: int
) -> list[list[str]]:
    """The rows of recipes; if too wide, without amounts and with short names."""
    rows = _rows(comparison, names, axes, amounts=True)
    if max(map(len, _lines(rows, False))) <= width:
        return rows
    rows = _rows(comparison, names, axes, amounts=False)
    rest = max(map(len, _lines(rows, False))) - max(map(len, names))
    short = _shorter(names, max(width - rest, _NAME))
    return [rows[0], *([name, *row[1:]] for name, row in zip(short, rows[1:], strict=True))]


def _tables(rows: Rows, width: int, colour: bool) -> Iterator[str]:
    """The rows as one table; if too wide, as several tables of some columns each."""
    columns = list(zip(*rows, strict=True))
    names, start = columns[0], 1
    while start < len(columns):
        stop = len(columns)
        while stop > start + 1 and not _is_table(columns, start, stop, width):
            stop -= 1
        lines = _lines(list(zip(names, *columns[start:stop], strict=True)), colour)
        yield "\n".join(lines)
        start = stop


def _is_table(columns: Rows, start: int, stop: int, width: int) -> bool:
    """Whether these columns fit side by side and keep bounds next to their value."""
    whole = stop == len(columns) or not columns[stop][0].startswith(_BOUNDS)
    rows = list(zip(columns[0], *columns[start:stop], strict=True))
    return whole and max(map(len, _lines(rows, False))) <= width


def _legend(comparison: Comparison, baseline: str, axes: Sequence[Axis]) -> list[str]:
    first = comparison.standings[0]
    costs = ", ".join(f"{one.title} {figures.amount(one, one.cost(first))}" for one in axes)
    marks = [f"{_STAR} no recipe is as good and cheaper by that cost"]
    if len(comparison.standings) > 1:
        marks.append("▼ ▲ the interval of the difference excludes 0")
    about = [f"{published.TITLE}: {LEGEND}"] if published.stated(comparison) else []
    return [f"× of {baseline}: {costs}", " · ".join(marks), *about]


def _rows(
    comparison: Comparison, names: Sequence[str], axes: Sequence[Axis], *, amounts: bool
) -> list[list[str]]:
    first = comparison.standings[0]
    about = [published.TITLE] if published.stated(comparison) else []
    heading = ["", *about, "score", _BOUNDS]
    several = len(names) > 1
    if several:
        heading += ["change", _BOUNDS + " "]
    for axis in axes:
        heading += [axis.title, "× "] if amounts else [f"{_brief(axis)} "]
    rows = [heading]
    standings, changed = comparison.standings, figures.from_baseline(comparison)
    stated = published.cells(comparison)
    for name, result, change, about in zip(names, standings, changed, stated, strict=True):
        cells = [name, *about, figures.points(result.score.value), figures.span(result.score)]
        changes = _change(change) if several else []
        rows.append([*cells, *changes, *_costs(result, first, axes, amounts)])
    return rows


def _brief(axis: Axis) -> str:
    return axis.title.split()[0]


def _change(change: Difference | None) -> list[str]:
    if change is None:
        return ["", ""]
    found = change.interval
    bounds = f"{figures.signed(found.low)}…{figures.signed(found.high)}"
    return [figures.signed(found.value), f"{bounds}{figures.mark(found):1}"]


def _costs(
    result: RecipeResult, first: RecipeResult, axes: Sequence[Axis], amounts: bool
) -> Iterator[str]:
    for axis in axes:
        star = _STAR if axis.name in result.frontier else " "
        amount = figures.amount(axis, axis.cost(result))
        if amounts:
            yield amount
        beside = figures.factor(axis.cost(result), axis.cost(first))
        # Without the baseline's cost there is no ratio to show.
        alone = not amounts and beside == figures.MISSING
        yield (amount if alone else beside) + star


def _shorter(names: Sequence[str], room: int) -> Sequence[str]:
    return names if max(map(len, names)) <= room else fitted(labels(names), room)


def _short_names(short: Sequence[str], names: Sequence[str]) -> list[str]:
    """Explanations of shortened names; one example if all are shortened alike."""
    labelled = labels(names)
    changed = [
        (one, name)
        for one, name, label in zip(short, names, labelled, strict=True)
        if one not in (name, label)
    ]
    alike = [
        (one, name)
        for one, name, label in zip(short, names, labelled, strict=True)
        if one == label != name
    ]
    return [f"{one} is short for {name}" for one, name in [*alike[:1], *changed]]


def _extra(comparison: Comparison, short: Sequence[str], width: int, colour: bool) -> list[str]:
    """The tables beside the main one, with the names of its rows."""
    names = dict(zip(figures.named(comparison).short, short, strict=True))
    return [
        text
        for one in extra_tables(comparison)
        for text in _extra_table(one, [names[row[0]] for row in one.rows], width, colour)
    ]


def _extra_table(
    shown: ExtraTable, names: Sequence[str], width: int, colour: bool
) -> Iterator[str]:
    columns: list[Column] = [
        (title.split(), [row[place] for row in shown.rows])
        for place, title in enumerate(shown.heading)
        if place
    ]
    yield shown.title
    for block in _blocks(columns, width - max(map(len, names))):
        yield "\n".join(_block(block, names, colour))
    yield _dim(_wrapped(shown.note, width), colour)


def _by_task(
    comparison: Comparison,
    names: Sequence[str],
    tasks: Sequence[str],
    width: int,
    colour: bool,
) -> list[str]:
    columns = [
        (_words(name), [_task_score(one, task) for one in comparison.standings])
        for name, task in zip(tasks, comparison.tasks, strict=True)
    ]
    blocks = _blocks(columns, width - max(map(len, names)))
    return ["\n".join(_block(block, names, colour)) for block in blocks]


def _block(columns: Sequence[Column], names: Sequence[str], colour: bool) -> list[str]:
    depth = max(len(words) for words, _ in columns)
    cells = [[*[""] * (depth - len(words)), *words, *scores] for words, scores in columns]
    rows = list(zip([*[""] * depth, *names], *cells, strict=True))
    return _lines(rows, colour, depth)


def _task_score(result: RecipeResult, task: str) -> str:
    found = result.tasks.get(task)
    return figures.points(found.value) if found else figures.MISSING


def _words(task: str) -> list[str]:
    """A name for a narrow column, one word per line."""
    return [task] if "(" in task else task.split("-")


def _blocks(columns: Sequence[Column], room: int) -> list[list[Column]]:
    """Columns grouped into blocks that fit the width."""
    blocks: list[list[Column]] = []
    left = 0
    for words, scores in columns:
        needed = max(map(len, [*words, *scores])) + 2
        if not blocks or needed > left:
            blocks.append([])
            left = room
        blocks[-1].append((words, scores))
        left -= needed
    return blocks


def _lines(rows: Rows, colour: bool, headings: int = 1) -> list[str]:
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Bounds are set closer to their value.
    gaps = [1 if heading.startswith(_BOUNDS) else 2 for heading in rows[0]]
    lines = []
    for at, row in enumerate(rows):
        cells = [
            " " * gap + f"{cell:>{size}}"
            for cell, size, gap in zip(row[1:], widths[1:], gaps[1:], strict=True)
        ]
        line = f"{row[0]:<{widths[0]}}{''.join(cells)}".rstrip()
        lines.append(f"{_BOLD}{line}{_RESET}" if colour and at < headings else line)
    return lines


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(
        printable(text), max(width, 20), break_on_hyphens=False, break_long_words=False
    )


def _dim(text: str, colour: bool) -> str:
    return f"{_DIM}{text}{_RESET}" if colour else text
