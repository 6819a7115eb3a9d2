"""A test whether losses fall along an order: Spearman's correlation and its p-values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forethought.numerics.student import student_share

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OrderTest:
    """The correlation of losses with their places in an order."""

    correlation: float
    """Spearman's, from -1 to 1; below 0 if later losses are lower."""
    p_value: float
    """Exact: the share of random orders, this one among them, with a correlation as low."""
    p_two_sided: float
    """By the t approximation, for a correlation of either sign."""


def order_test(losses: ArrayLike, rng: np.random.Generator, permutations: int) -> OrderTest:
    """Test losses [N] that stand in the order in question; equal losses share their mean rank.

    If the order is independent of the losses, the p-value is uniform on 1/(permutations + 1), ...,
    1, whatever the losses are.
    """
    ranks = _standard(mean_ranks(np.asarray(losses, dtype=np.float64)))
    places = _standard(np.arange(len(ranks), dtype=np.float64))
    correlation = float(places @ ranks)
    # Equal sums may differ in their last bits with the order of their terms.
    most = correlation + 1e-12
    low = sum(float(places @ rng.permutation(ranks)) <= most for _ in range(permutations))
    return OrderTest(correlation, (1 + low) / (permutations + 1), _approximate(correlation, ranks))


def mean_ranks(values: Floats) -> Floats:
    """The ranks [N] from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places], dtype=np.float64)


def _standard(ranks: Floats) -> Floats:
    """Centred and of length 1; zeros if all ranks are equal."""
    centred = ranks - ranks.mean()
    length = float(np.linalg.norm(centred))
    return np.asarray(centred / length if length else centred, dtype=np.float64)


def _approximate(correlation: float, ranks: Floats) -> float:
    freedom, rest = len(ranks) - 2, 1 - correlation**2
    if freedom < 1 or rest <= 0:
        return 1.0 if freedom < 1 else 0.0
    return 2 * student_share(-abs(correlation) * math.sqrt(freedom / rest), freedom)
