"""Difficulty bins of a task's questions, and the best stored recipe for each bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from forethought.contracts.forecast import Difficulty, ForecastBin
from forethought.evaluation.curves import random_answer
from forethought.evaluation.draws import Draws
from forethought.numerics.difficulty import best_by_bin, cross_fitted, difficulty_bins

MOST_BINS = 5
FEWEST_IN_BIN = 4
"""Two questions to choose a recipe, and two to score the choice."""


def difficulty(
    task: str,
    sorted_by: str,
    drawn: Sequence[Draws],
    scores: Mapping[str, Mapping[str, float]],
    seed: int = 0,
) -> Difficulty | None:
    """Bin the questions of `drawn` by success; None if they are too few for two bins.

    `scores` maps recipe and question to a score. Recipes without a score for every question are
    left out.
    """
    bins = min(MOST_BINS, len(drawn) // FEWEST_IN_BIN)
    if bins < 2:
        return None
    names = [one.question for one in drawn]
    recipes = [name for name, known in scores.items() if all(one in known for one in names)]
    success = np.array([random_answer(one) for one in drawn])
    rng = np.random.default_rng(seed)
    places = difficulty_bins(success.tolist(), rng, bins=bins)
    table = np.array([[scores[name][one] for one in names] for name in recipes])
    best = best_by_bin(table, places)
    means = table.mean(axis=1)
    return Difficulty(
        task=task,
        sorted_by=sorted_by,
        bins=tuple(
            ForecastBin(
                number=one,
                questions=int((places == one).sum()),
                success=float(success[places == one].mean()),
                best=recipes[best[one]],
                score=float(table[best[one], places == one].mean()),
            )
            for one in sorted(best)
        ),
        recipes=tuple(recipes),
        fixed=recipes[int(means.argmax())],
        fixed_score=float(means.max()),
        adapted=cross_fitted(table, places, rng) if len(recipes) > 1 else None,
    )
