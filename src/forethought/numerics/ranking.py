"""How well scores rank right before wrong: AUROC, with an interval over clusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.comparison import Interval

Floats = NDArray[np.float64]


def auroc(scores: Floats, labels: Floats, weights: Floats | None = None) -> float:
    """The probability that a right one scores above a wrong one; a tie counts a half.

    Labels are shares from 0 to 1: a share y counts as right with weight y, and as wrong with 1 - y.
    NaN without any right or any wrong.
    """
    own = np.ones(len(scores)) if weights is None else weights
    values, places = np.unique(scores, return_inverse=True)
    right = np.bincount(places, own * labels, len(values))
    wrong = np.bincount(places, own * (1 - labels), len(values))
    below = np.cumsum(wrong) - wrong
    pairs = right.sum() * wrong.sum()
    return float((right * (below + wrong / 2)).sum() / pairs) if pairs > 0 else float("nan")


def auroc_interval(
    scores: Floats,
    labels: Floats,
    weights: Floats,
    clusters: Sequence[str],
    rng: np.random.Generator,
    draws: int = 1000,
) -> Interval:
    """AUROC with its 95 % interval, by a bootstrap over clusters."""
    names, places = np.unique(np.asarray(clusters), return_inverse=True)
    found = []
    for _ in range(draws):
        counts = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        found.append(auroc(scores, labels, weights * counts[places]))
    known = [one for one in found if one == one]
    low, high = np.quantile(known, [0.025, 0.975]) if known else (float("nan"),) * 2
    return Interval(auroc(scores, labels, weights), float(low), float(high))
