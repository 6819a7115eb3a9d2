"""The finding of a comparison: one sentence that its intervals support."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.comparison import Comparison, Difference, RecipeResult
from forethought.reports import figures
from forethought.reports.figures import Axis

_NEAR = 0.05  # with few questions, intervals hold 0 even for large differences


@dataclass(frozen=True)
class _Candidate:
    """A recipe compared with the first one."""

    name: str
    result: RecipeResult
    difference: Difference

    @property
    def may_be_as_good(self) -> bool:
        """Whether its score is within 5 points and its interval holds 0."""
        change = self.difference.interval
        return change.high >= 0 and change.value >= -_NEAR


def finding(comparison: Comparison, *, timing: bool = True) -> str:
    """The cheapest recipe with a score near the first one's, or a statement that none is."""
    names = figures.named(comparison).short
    first = comparison.standings[0]
    differences = figures.from_baseline(comparison)
    candidates = [
        _Candidate(name, result, difference)
        for name, result, difference in zip(names, comparison.standings, differences, strict=True)
        if difference
    ]
    if not candidates:
        score = f"{figures.points(first.score.value)} ({figures.span(first.score)})"
        return f"{names[0]} scores {score} points; no other recipe stands beside it."
    for axis in figures.axes(comparison, timing):
        cheaper = [one for one in candidates if axis.cost(one.result) < axis.cost(first)]
        equal = [one for one in cheaper if one.may_be_as_good]
        if equal:
            best = min(equal, key=lambda one: axis.cost(one.result))
            return _cheapest_finding(best, names[0], axis, first)
    if figures.searching(comparison):
        return _gain_finding(candidates, names[0], first)
    return _no_finding(candidates, names[0], first, figures.axes(comparison, timing))


def _cheapest_finding(best: _Candidate, baseline: str, axis: Axis, first: RecipeResult) -> str:
    change = best.difference.interval
    shown = f"{figures.signed(change.value)} points, 95 % interval {figures.signed_span(change)}"
    share = figures.factor(axis.cost(best.result), axis.cost(first))
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


def _no_finding(
    candidates: list[_Candidate], baseline: str, first: RecipeResult, axes: tuple[Axis, ...]
) -> str:
    for axis in axes:
        cheaper = [one for one in candidates if axis.cost(one.result) < axis.cost(first)]
        if cheaper:
            best = max(cheaper, key=lambda one: one.difference.interval.value)
            change = best.difference.interval
            share = figures.factor(axis.cost(best.result), axis.cost(first))
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


def _gain_finding(candidates: list[_Candidate], baseline: str, first: RecipeResult) -> str:
    """The gain of spending more than the first recipe."""
    above = [one for one in candidates if one.difference.interval.low > 0]
    if above:
        least = min(above, key=lambda one: figures.TOKENS.cost(one.result))
        best = max(above, key=lambda one: one.difference.interval.value)
        gained = (
            f"{least.name} scores above {baseline} ({_gain(least)}) with "
            f"{_token_factor(least, first)} × its tokens, the least of all that do."
        )
        more = f" The best is {best.name} ({_gain(best)}) with {_token_factor(best, first)} ×."
        return gained + more * (best is not least)
    best = max(candidates, key=lambda one: one.difference.interval.value)
    return (
        f"No recipe was seen to score above {baseline} beyond the noise; the best is {best.name} "
        f"({_gain(best)}) with {_token_factor(best, first)} × its tokens."
    )


def _gain(one: _Candidate) -> str:
    change = one.difference.interval
    return f"{figures.signed(change.value)} points, 95 % interval {figures.signed_span(change)}"


def _token_factor(one: _Candidate, first: RecipeResult) -> str:
    return figures.factor(one.result.tokens, first.tokens)
