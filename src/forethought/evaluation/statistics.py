"""A comparison computed from samples: scores with intervals, paired differences, frontiers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from forethought.contracts.comparison import UNKNOWN, Comparison, Difference, Interval
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample
from forethought.evaluation.confidence_scores import LEVEL, answer_confidences
from forethought.evaluation.recipe_result import recipe_result, with_frontiers
from forethought.evaluation.task_scores import (
    ScoresByTask,
    TaskScores,
    check_same_questions,
    scores_by_task,
)
from forethought.numerics.intervals import Clustered
from forethought.numerics.pairs import (
    detectable_difference,
    paired_interval,
    sign_flip_probability,
)
from forethought.recipes.identity import OF_SERVERS, QUESTION_HASH, REVISIONS

_EQUAL = 1e-12  # means of several scores that differ by less differ by rounding


def compared(
    samples: Sequence[Sample],
    recipes: Sequence[str],
    tasks: Sequence[str],
    seed: int = 0,
    provenance: Mapping[str, str] | None = None,
    level: float = LEVEL,
) -> Comparison:
    """Compare these recipes on these tasks, in this order; other samples are ignored.

    A question's score is the mean over its answers. The result does not depend on the order of
    `samples`, nor a difference on the other recipes. `level` is the confidence from which an
    answer counts as given.
    """
    _check_names(recipes, tasks)
    by_recipe: dict[str, list[Sample]] = {recipe: [] for recipe in recipes}
    for sample in sorted(samples, key=lambda one: (one.task, one.question, one.number, one.key)):
        if sample.recipe in by_recipe:
            by_recipe[sample.recipe].append(sample)
    answers = {name: scores_by_task(name, found, tasks) for name, found in by_recipe.items()}
    check_same_questions(answers)
    results = [
        replace(
            recipe_result(name, answers[name], by_recipe[name]),
            confidence=answer_confidences(
                [one for one in by_recipe[name] if one.task in tasks], level
            ),
        )
        for name in recipes
    ]
    return Comparison(
        standings=with_frontiers(results),
        differences=_differences(recipes, answers, seed),
        tasks=tuple(tasks),
        questions=sum(len(_shared([answers[name][task] for name in recipes])) for task in tasks),
        provenance=dict(provenance or {}),
        mixed=_mixed([one for found in by_recipe.values() for one in found]),
    )


def _mixed(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Provenance fields that differ between samples, except those of questions and methods.

    Servers may differ between recipes, but not within one recipe.
    """
    seen: dict[tuple[str, str], str] = {}
    found: dict[str, None] = {}
    for sample in samples:
        for name, value in sample.provenance.items():
            whose = sample.recipe if name in OF_SERVERS else ""
            own = name in (QUESTION_HASH, REVISIONS)
            if not own and seen.setdefault((whose, name), value) != value:
                found[name] = None
    return tuple(sorted(found))


def _check_names(recipes: Sequence[str], tasks: Sequence[str]) -> None:
    for kind, names in (("recipe", recipes), ("task", tasks)):
        if not names:
            raise UsageError(f"there is no {kind} to compare", f"name a {kind}")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"the {kind} {twice} is named twice", "name it once")


def _shared(answered: Sequence[TaskScores]) -> list[str]:
    """The questions that all of them answered, sorted."""
    first, *others = (one.scores for one in answered)
    return sorted(name for name in first if all(name in other for other in others))


def _differences(
    recipes: Sequence[str], answers: Mapping[str, ScoresByTask], seed: int
) -> tuple[Difference, ...]:
    found = {}
    for recipe, against in combinations(recipes, 2):
        # One order of each pair is resampled and the other mirrors it, so the two agree.
        first, second = sorted((recipe, against))
        drawn = _difference(first, second, answers, seed)
        found[first, second], found[second, first] = drawn, _mirrored(drawn)
    return tuple(found[a, b] for a in recipes for b in recipes if a != b)


def _difference(
    recipe: str, against: str, answers: Mapping[str, ScoresByTask], seed: int
) -> Difference:
    mine, theirs = answers[recipe], answers[against]
    shared = {task: _shared([mine[task], theirs[task]]) for task in mine}
    pairs = {
        task: [mine[task].scores[name] - theirs[task].scores[name] for name in names]
        for task, names in shared.items()
        if names
    }
    if not pairs:
        return _unknown(recipe, against, mine, theirs)
    tasks = [Clustered.of(pairs[task], mine[task].clusters(shared[task])) for task in pairs]
    every = [value for values in pairs.values() for value in values]
    rng = np.random.default_rng(seed)  # equal differences have equal intervals
    return Difference(
        recipe=recipe,
        against=against,
        interval=paired_interval(tasks, rng),
        p_value=sign_flip_probability(tasks, rng),
        questions=len(every),
        wins=sum(value > _EQUAL for value in every),
        losses=sum(value < -_EQUAL for value in every),
        detectable=detectable_difference(tasks),
    )


def _unknown(recipe: str, against: str, mine: ScoresByTask, theirs: ScoresByTask) -> Difference:
    """The difference if no common question has a score; UsageError without a common question."""
    if not any(mine[task].origins.keys() & theirs[task].origins.keys() for task in mine):
        raise UsageError(
            f"{recipe} and {against} answered no question in common",
            "run both on the same questions",
        )
    return Difference(recipe, against, UNKNOWN, 1.0, 0, 0, 0, math.nan)


def _mirrored(one: Difference) -> Difference:
    turned = Interval(0.0 - one.interval.value, 0.0 - one.interval.high, 0.0 - one.interval.low)
    return Difference(
        recipe=one.against,
        against=one.recipe,
        interval=turned,
        p_value=one.p_value,
        questions=one.questions,
        wins=one.losses,
        losses=one.wins,
        detectable=one.detectable,
    )
