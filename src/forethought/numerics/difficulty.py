"""Difficulty bins, and the choice of a strategy for each bin (arXiv:2408.03314)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.errors import UsageError
from forethought.numerics.votes import Tally

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def signs(groups: Sequence[int | None], likelihoods: Sequence[float]) -> tuple[float, float]:
    """Signs of difficulty from a few answers: the agreeing share, and the mean likelihood.

    Answers of one group agree; None is no answer. Both signs run from 0, the hardest, to 1.
    """
    tally = Tally.of(groups, [1.0] * len(groups))
    agreeing = max(tally.totals.values(), default=0.0)
    return agreeing / max(1, len(groups)), sum(likelihoods) / max(1, len(likelihoods))


def difficulty_bins(
    success: Sequence[float],
    rng: np.random.Generator,
    *,
    bins: int = 5,
    then: Sequence[float] = (),
) -> Integers:
    """The bin of each question, from 1 for the easiest; bin sizes differ by one at most.

    Questions are sorted by `success`, the greatest first, such as the share of right samples.
    Ties are sorted by `then`, remaining ties at random. UsageError for more bins than questions.
    """
    count = len(success)
    if not 1 <= bins <= count:
        raise UsageError(f"{count} questions make no {bins} bins", f"give bins from 1 to {count}")
    second = -np.asarray(then if len(then) else np.zeros(count), dtype=np.float64)
    order = np.lexsort((rng.random(count), second, -np.asarray(success, dtype=np.float64)))
    found = np.empty(count, dtype=np.int64)
    found[order] = np.arange(count) * bins // count + 1
    return found


def best_by_bin(scores: Floats, bins: Integers) -> dict[int, int]:
    """The strategy of greatest mean score in each bin; ties go to the first.

    `scores` is [strategies, questions] at one budget.
    """
    return {int(one): int(scores[:, bins == one].mean(1).argmax()) for one in np.unique(bins)}


def score_by_bin(scores: Floats, bins: Integers, choice: dict[int, int]) -> float:
    """The mean score if each bin uses its chosen strategy."""
    return float(np.mean([scores[choice[int(one)], place] for place, one in enumerate(bins)]))


def cross_fitted(scores: Floats, bins: Integers, rng: np.random.Generator, folds: int = 2) -> float:
    """The cross-validated mean score of choosing a strategy per bin.

    Each bin is split into random folds, and each fold is scored with the choice made on the
    others. UsageError if a bin has fewer questions than folds, or for fewer than two folds.
    """
    sizes = np.unique(bins, return_counts=True)[1]
    if folds < 2 or sizes.min() < folds:
        raise UsageError(
            f"a bin of {sizes.min()} questions cannot be split into {folds} folds",
            "give 2 folds or more, and fewer bins or more questions",
        )
    dealt = np.empty(len(bins), dtype=np.int64)
    for one in np.unique(bins):
        places = rng.permutation(np.flatnonzero(bins == one))
        dealt[places] = np.arange(len(places)) % folds
    found = []
    for fold in range(folds):
        held = dealt == fold
        choice = best_by_bin(scores[:, ~held], bins[~held])
        found.append(score_by_bin(scores[:, held], bins[held], choice) * held.sum())
    return float(sum(found) / len(bins))
