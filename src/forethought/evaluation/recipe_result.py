"""How each recipe did, and which of them no other beats at a lower cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from forethought.contracts.comparison import Interval, RecipeResult
from forethought.contracts.errors import StoreError
from forethought.contracts.questions import Sample
from forethought.evaluation.answered import Answers, TaskScores
from forethought.evaluation.token_rates import all_tokens
from forethought.numerics.intervals import mean_interval, mean_of_intervals
from forethought.recipes.identity import SERVER

COSTS = ("cache_bytes", "first_token", "flops", "tokens", "usd")
"""Fields of a Standing that a frontier is drawn over."""


def standing(recipe: str, answers: Answers, samples: Sequence[Sample]) -> RecipeResult:
    """One recipe's scores and what its samples of the tasks of `answers` cost."""
    runs = [sample for sample in samples if sample.task in answers]
    tasks = {task: _interval(answered) for task, answered in answers.items()}
    return RecipeResult(
        recipe=recipe,
        questions=sum(len(answered.scores) for answered in answers.values()),
        score=mean_of_intervals(list(tasks.values())),
        tasks=tasks,
        cache_bytes=statistics.fmean(_seen(runs, "kept", "cache_bytes")),
        first_token=statistics.median(_seen(runs, "timing", "first_token")),
        flops=statistics.fmean(_seen(runs, "cost", "flops")),
        read=statistics.fmean(_spent(runs, "cost", "prompt_tokens")),
        usd=_paid(runs),
        tokens=statistics.fmean(all_tokens(sample.run["cost"]) for sample in runs),
    )


def with_frontiers(standings: Sequence[RecipeResult]) -> tuple[RecipeResult, ...]:
    """The same, each marked with the costs at which no other is as good and cheaper."""
    return tuple(
        replace(
            one,
            frontier=frozenset(
                cost for cost in COSTS if not any(_beats(other, one, cost) for other in standings)
            ),
        )
        for one in standings
    )


def _beats(other: RecipeResult, one: RecipeResult, cost: str) -> bool:
    """Whether `other` is as good and as cheap, and one of them strictly."""
    better = (other.score.value, -getattr(other, cost))
    mine = (one.score.value, -getattr(one, cost))
    if math.isnan(mine[1]):  # what is not known stands on no frontier
        return True
    return better != mine and all(a >= b for a, b in zip(better, mine, strict=True))


def _interval(answered: TaskScores) -> Interval:
    scores = answered.scores
    return mean_interval(list(scores.values()), answered.clusters(list(scores)))


def _seen(samples: Sequence[Sample], part: str, name: str) -> list[float]:
    """What only a model that runs here shows; not a number where a server answered."""
    return [
        math.nan if SERVER in sample.provenance else _number(sample, part, name)
        for sample in samples
    ]


def _paid(samples: Sequence[Sample]) -> float:
    priced = [sample.run["cost"].get("usd") for sample in samples]
    return math.nan if None in priced else statistics.fmean(priced)


def _spent(samples: Sequence[Sample], part: str, name: str) -> list[float]:
    return [_number(sample, part, name) for sample in samples]


def _number(sample: Sample, part: str, name: str) -> float:
    record = sample.run.get(part)
    value = record.get(name) if isinstance(record, Mapping) else None
    if not isinstance(value, int | float):
        raise StoreError(
            f"the run of question {sample.question} of {sample.task} by {sample.recipe} "
            f"has no {part}.{name}",
            "leave it out, or run it again",
        )
    return value
