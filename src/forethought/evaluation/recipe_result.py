"""Score and cost of each recipe, and the cost frontiers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from forethought.contracts.comparison import UNKNOWN, Interval, RecipeResult
from forethought.contracts.errors import StoreError
from forethought.contracts.questions import Outcome, Sample
from forethought.evaluation.task_scores import ScoresByTask, TaskScores
from forethought.evaluation.token_rates import all_tokens
from forethought.numerics.intervals import mean_interval, mean_of_intervals
from forethought.recipes.identity import SERVER
from forethought.recipes.published import published

COSTS = ("cache_bytes", "first_token", "flops", "tokens", "usd")
"""Fields of RecipeResult that have a frontier."""


def recipe_result(recipe: str, scores: ScoresByTask, samples: Sequence[Sample]) -> RecipeResult:
    """One recipe's scores, and the mean cost of its samples of the tasks in `scores`."""
    runs = [sample for sample in samples if sample.task in scores]
    tasks = {task: _interval(answered) for task, answered in scores.items()}
    return RecipeResult(
        recipe=recipe,
        questions=sum(len(answered.scores) for answered in scores.values()),
        score=mean_of_intervals(list(tasks.values())),
        tasks=tasks,
        cache_bytes=statistics.fmean(_cache_bytes(runs)),
        first_token=statistics.median(_local_values(runs, "timing", "first_token")),
        flops=statistics.fmean(_local_values(runs, "cost", "flops")),
        read=statistics.fmean(_values(runs, "cost", "prompt_tokens")),
        usd=_mean_usd(runs),
        tokens=statistics.fmean(all_tokens(sample.run["cost"]) for sample in runs),
        published=published(recipe),
        unparsable=_share(runs, "unparsable", "unscored"),
        unscored=_share(runs, "unscored"),
    )


def with_frontiers(results: Sequence[RecipeResult]) -> tuple[RecipeResult, ...]:
    """The results, each marked with the costs on whose frontier it lies.

    A recipe lies on a frontier if no other one is as good and cheaper.
    """
    return tuple(
        replace(
            one,
            frontier=frozenset(
                cost for cost in COSTS if not any(_beats(other, one, cost) for other in results)
            ),
        )
        for one in results
    )


def _beats(other: RecipeResult, one: RecipeResult, cost: str) -> bool:
    """Whether `other` is at least as good and as cheap, and strictly better in one of them."""
    if math.isnan(one.score.value):  # nor does an unknown score
        return True
    better = (other.score.value, -getattr(other, cost))
    mine = (one.score.value, -getattr(one, cost))
    if math.isnan(mine[1]):  # an unknown cost lies on no frontier
        return True
    return better != mine and all(a >= b for a, b in zip(better, mine, strict=True))


def _interval(answered: TaskScores) -> Interval:
    scores = answered.scores
    if not scores:
        return UNKNOWN
    return mean_interval(list(scores.values()), answered.clusters(list(scores)))


def _share(samples: Sequence[Sample], *outcomes: Outcome) -> float:
    """The share of answers with one of these outcomes; NaN if an outcome is not known."""
    told = [sample.outcome for sample in samples]
    return math.nan if "" in told else statistics.fmean(one in outcomes for one in told)


def _cache_bytes(samples: Sequence[Sample]) -> list[float]:
    """Bytes behind each question's own prompt; NaN where the target did not prefill it.

    Such a search reads prompts of its own alone, or its draft answered. It is not free.
    """
    return [held or math.nan for held in _local_values(samples, "kept", "cache_bytes")]


def _local_values(samples: Sequence[Sample], part: str, name: str) -> list[float]:
    """Values that only local models report; NaN for scores of a server."""
    return [
        math.nan if SERVER in sample.provenance else _number(sample, part, name)
        for sample in samples
    ]


def _mean_usd(samples: Sequence[Sample]) -> float:
    priced = [sample.run["cost"].get("usd") for sample in samples]
    return math.nan if None in priced else statistics.fmean(priced)


def _values(samples: Sequence[Sample], part: str, name: str) -> list[float]:
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
