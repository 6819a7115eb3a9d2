"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forethought.contracts.comparison import Comparison, Difference, RecipeResult
from forethought.contracts.sources import LEGEND
from forethought.reports import figures, published
from forethought.reports.extra_tables import extra_tables
from forethought.reports.figures import Axis
from forethought.reports.finding import finding
from forethought.reports.markdown import code, plain, table
from forethought.reports.names import task_names


def comparison_markdown(comparison: Comparison, *, timing: bool = True) -> str:
    """The finding, tables of recipes in total and by task, and caveats."""
    axes = figures.axes(comparison, timing)
    recipes = figures.named(comparison)
    tasks = task_names(comparison.tasks)
    shared = [f"{code(part)} · " for part in recipes.shared]
    settings = f" · each with {code(', '.join(tasks.shared))}" if tasks.shared else ""
    blocks = [
        plain(finding(comparison, timing=timing)),
        "".join(shared) + figures.scope(comparison) + settings,
        _table(_results(comparison, recipes.short, axes)),
        "★ no recipe is as good and cheaper by that cost · ▼ ▲ the interval of the difference "
        "excludes 0",
        f"{published.TITLE}: {LEGEND}" if published.stated(comparison) else "",
        *_extra(comparison),
        _table(_by_task(comparison, recipes.short, tasks.short)) if comparison.tasks else "",
        plain(" ".join(figures.caveats(comparison, timing=timing))),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _results(
    comparison: Comparison, names: Sequence[str], axes: Sequence[Axis]
) -> Iterable[list[str]]:
    first = comparison.standings[0]
    yield [
        "recipe",
        *([published.TITLE] if published.stated(comparison) else []),
        "score (95 %)",
        f"difference to {plain(names[0])} (95 %)",
        *(one.title for one in axes),
    ]
    standings, changes = comparison.standings, figures.from_baseline(comparison)
    stated = published.cells(comparison)
    for name, result, change, about in zip(names, standings, changes, stated, strict=True):
        score = f"{figures.points(result.score.value)} ({figures.span(result.score)})"
        costs = [_cost(result, first, axis) for axis in axes]
        yield [code(name), *about, score, _change(change), *costs]


def _change(change: Difference | None) -> str:
    if change is None:
        return ""
    found = change.interval
    shown = f"{figures.signed(found.value)} ({figures.signed_span(found)})"
    return f"{shown} {figures.mark(found)}".rstrip()


def _cost(result: RecipeResult, first: RecipeResult, axis: Axis) -> str:
    amount = figures.amount(axis, axis.cost(result))
    factor = figures.factor(axis.cost(result), axis.cost(first))
    star = " ★" if axis.name in result.frontier else ""
    return f"{amount}, {factor} ×{star}"


def _by_task(
    comparison: Comparison, names: Sequence[str], tasks: Sequence[str]
) -> Iterable[list[str]]:
    yield ["recipe", *map(plain, tasks)]
    for name, result in zip(names, comparison.standings, strict=True):
        found = [result.tasks.get(task) for task in comparison.tasks]
        yield [
            code(name),
            *(figures.points(one.value) if one else figures.MISSING for one in found),
        ]


def _extra(comparison: Comparison) -> Iterable[str]:
    for one in extra_tables(comparison):
        coded = [[code(row[0]), *map(plain, row[1:])] for row in one.rows]
        yield f"{one.title}:"
        yield _table([[*one.heading], *coded])
        yield one.note


def _table(rows: Iterable[list[str]]) -> str:
    heading, *rest = rows
    return table(heading, ["---", *["---:"] * (len(heading) - 1)], rest)
