"""What a comparison found, in a sentence that says no more than its intervals do."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.comparison import Comparison, Difference, RecipeResult
from forethought.reports import figures
from forethought.reports.figures import Axis

_NEAR = 0.05  # few questions leave intervals that hold 0 whatever was seen


@dataclass(frozen=True)
class _Rival:
    """A recipe beside the first one."""

    name: str
    standing: RecipeResult
    difference: Difference

    @property
    def may_be_as_good(self) -> bool:
        """Whether it was seen to come near, and 0 lies in its interval."""
        change = self.difference.interval
        return change.high >= 0 and change.value >= -_NEAR


def finding(comparison: Comparison, *, timing: bool = True) -> str:
    """The cheapest recipe that comes near the first one, or that none was seen to."""
    names = figures.named(comparison).short
    first = comparison.standings[0]
    differences = figures.from_baseline(comparison)
    rivals = [
        _Rival(name, standing, difference)
        for name, standing, difference in zip(names, comparison.standings, differences, strict=True)
        if difference
    ]
    if not rivals:
        score = f"{figures.points(first.score.value)} ({figures.span(first.score)})"
        return f"{names[0]} scores {score} points; no other recipe stands beside it."
    for axis in figures.axes(comparison, timing):
        cheaper = [one for one in rivals if axis.cost(one.standing) < axis.cost(first)]
        equal = [one for one in cheaper if one.may_be_as_good]
        if equal:
            best = min(equal, key=lambda one: axis.cost(one.standing))
            return _found(best, names[0], axis, first)
    if figures.searching(comparison):
        return _spent(rivals, names[0], first)
    return _none_found(rivals, names[0], first, figures.axes(comparison, timing))


def _found(best: _Rival, baseline: str, axis: Axis, first: RecipeResult) -> str:
    change = best.difference.interval
    shown = f"{figures.signed(change.value)} points, 95 % interval {figures.signed_span(change)}"
    share = figures.factor(axis.cost(best.standing), axis.cost(first))
    if change.low > 0:
        return (
            f"{best.name} scores above {baseline} ({shown}) with {share} × its {axis.noun}, "
            "the least of all that do not score below it."
        )
    doubt = (
        f"; a loss of up to {figures.points(-change.low)} points is not ruled out"
        if change.low < 0
        else ""
    )
    return (
        f"{best.name} cannot be told from {baseline} on these questions ({shown}) with "
        f"{share} × its {axis.noun}, the least of all recipes of which that holds{doubt}."
    )


def _none_found(
    rivals: list[_Rival], baseline: str, first: RecipeResult, axes: tuple[Axis, ...]
) -> str:
    for axis in axes:
        cheaper = [one for one in rivals if axis.cost(one.standing) < axis.cost(first)]
        if cheaper:
            best = max(cheaper, key=lambda one: one.difference.interval.value)
            change = best.difference.interval
            share = figures.factor(axis.cost(best.standing), axis.cost(first))
            worse = all(one.difference.interval.high < 0 for one in cheaper)
            start = (
                f"Every recipe cheaper than {baseline} scores below it beyond the noise"
                if worse
                else f"No recipe cheaper than {baseline} was seen to come within 5 points of it"
            )
            shown = f"{figures.signed(change.value)} points, 95 % interval "
            shown += figures.signed_span(change)
            return f"{start}; the closest is {best.name} ({shown}) with {share} × its {axis.noun}."
    return f"No recipe is cheaper than {baseline}."


def _spent(rivals: list[_Rival], baseline: str, first: RecipeResult) -> str:
    """What is won by spending more."""
    above = [one for one in rivals if one.difference.interval.low > 0]
    if above:
        least = min(above, key=lambda one: figures.TOKENS.cost(one.standing))
        best = max(above, key=lambda one: one.difference.interval.value)
        told = (
            f"{least.name} scores above {baseline} ({_won(least)}) with "
            f"{_times(least, first)} × its tokens, the least of all that do."
        )
        more = f" The best is {best.name} ({_won(best)}) with {_times(best, first)} ×."
        return told + more * (best is not least)
    best = max(rivals, key=lambda one: one.difference.interval.value)
    return (
        f"No recipe was seen to score above {baseline} beyond the noise; the best is {best.name} "
        f"({_won(best)}) with {_times(best, first)} × its tokens."
    )


def _won(one: _Rival) -> str:
    change = one.difference.interval
    return f"{figures.signed(change.value)} points, 95 % interval {figures.signed_span(change)}"


def _times(one: _Rival, first: RecipeResult) -> str:
    return figures.factor(one.standing.tokens, first.tokens)
