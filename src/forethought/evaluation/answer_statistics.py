"""Statistics of the answers that a recipe chooses among; tasks count alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from forethought.contracts.comparison import Chances, DrawnAnswers
from forethought.evaluation.draws import Choices

ByTask = Sequence[Sequence[Choices]]
"""The answers of every run, by task."""


def chances(found: ByTask) -> Chances | None:
    """Random, oracle and worst scores; None if no run has two answers, or one has none."""
    if not _has_choice(found):
        return None
    return Chances(
        random=_mean_over(found, lambda one: _mean(one.right)),
        oracle=_mean_over(found, lambda one: max(one.right)),
        worst=_mean_over(found, lambda one: min(one.right)),
    )


def drawn_answers(found: ByTask, most: int) -> DrawnAnswers | None:
    """Numbers and tokens of answers; None if no run has two answers, or one has none."""
    if not _has_choice(found):
        return None
    every = [one for task in found for one in task]
    pairs = [pair for one in every for pair in zip(one.tokens, one.right, strict=True)]
    several = [[one for one in task if len(one.tokens) > 1] for task in found]
    return DrawnAnswers(
        drawn=_mean_over(found, lambda one: one.drawn),
        most=most,
        spread=_mean_over([task for task in several if task], _deviation),
        right=_weighted_mean([(tokens, right) for tokens, right in pairs]),
        wrong=_weighted_mean([(tokens, 1 - right) for tokens, right in pairs]),
    )


def _has_choice(found: ByTask) -> bool:
    counts = [len(one.right) for task in found for one in task]
    return all(counts) and any(count > 1 for count in counts)


def _deviation(one: Choices) -> float:
    return statistics.stdev(one.tokens)


def _mean_over(found: ByTask, each: Callable[[Choices], float]) -> float:
    """The mean over tasks of means over runs."""
    return _mean([_mean([each(one) for one in task]) for task in found])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _weighted_mean(pairs: Sequence[tuple[float, float]]) -> float:
    weight = math.fsum(by for _, by in pairs)
    return math.fsum(value * by for value, by in pairs) / weight if weight else math.nan
