"""95 % confidence intervals of mean scores, over the draw of questions.

Scores and intervals lie in [0, 1]. All intervals are Wilson's: independent 0/1 scores use it
as published. Other scores and clusters use the effective number of 0/1 scores with the same
standard error, and Student's quantile in place of the normal one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.comparison import UNKNOWN, Interval
from forethought.numerics.student import normal_quantile, student_quantile

UPPER = 0.975
"""Probability below the upper end of an interval."""


@dataclass(frozen=True)
class Clustered:
    """Values grouped by cluster; questions from one source are not independent."""

    sums: NDArray[np.float64]
    """Sum of the values in each cluster."""
    sizes: NDArray[np.float64]
    """Number of values in each cluster."""

    @classmethod
    def of(cls, values: Sequence[float], clusters: Sequence[str]) -> Clustered:
        """Group `values` by the cluster named at the same index of `clusters`."""
        _, places = np.unique(np.asarray(clusters, dtype=object), return_inverse=True)
        sums = np.bincount(places, np.asarray(values, dtype=np.float64)).astype(np.float64)
        return cls(sums, np.bincount(places).astype(np.float64))

    @classmethod
    def alone(cls, values: Sequence[float]) -> Clustered:
        """Make each value a cluster of its own."""
        return cls(np.asarray(values, dtype=np.float64), np.ones(len(values)))

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.sums)

    @property
    def mean(self) -> float:
        """The mean over values, not over clusters."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def error(self) -> float:
        """The standard error of the mean under cluster sampling; 0 for one cluster."""
        residuals = self.sums - self.sizes * self.mean
        spread = float(residuals @ residuals) * self.count / max(self.count - 1, 1)
        return math.sqrt(spread) / float(self.sizes.sum())


def wilson(mean: float, count: float, quantile: float | None = None) -> Interval:
    """Wilson's interval of a share of `count` draws; not empty even at 0 or 1."""
    quantile = normal_quantile(UPPER) if quantile is None else quantile
    spread = quantile**2 / count
    centre = (mean + spread / 2) / (1 + spread)
    half = quantile / (1 + spread) * math.sqrt(mean * (1 - mean) / count + spread / (4 * count))
    # Rounding must not push an end past the mean or out of [0, 1].
    return Interval(mean, max(0.0, min(centre - half, mean)), min(1.0, max(centre + half, mean)))


def mean_interval(scores: Sequence[float], clusters: Sequence[str]) -> Interval:
    """The mean of one task's scores and its interval; `clusters` names each score's cluster.

    A single cluster, or equal scores, count as one 0/1 score per cluster: no observed variance
    does not mean no uncertainty.
    """
    grouped, alone = Clustered.of(scores, clusters), Clustered.alone(scores)
    mean = min(1.0, max(0.0, grouped.mean))
    if grouped.count == alone.count and set(scores) <= {0, 1}:
        return wilson(mean, grouped.count)
    # A few clusters may vary less than single questions by chance.
    error = max(grouped.error, alone.error)
    if grouped.count == 1 or error < 1e-9:
        return wilson(mean, grouped.count)
    return wilson(mean, mean * (1 - mean) / error**2, student_quantile(UPPER, grouped.count - 1))


def mean_of_intervals(intervals: Sequence[Interval]) -> Interval:
    """The unweighted mean of independent estimates.

    Distances to the interval's ends add in quadrature (Zou and Donner's variance estimates
    recovery). One estimate keeps its own interval, and the result stays in [0, 1]. An unknown
    estimate leaves the mean unknown.
    """
    if any(math.isnan(one.value) for one in intervals):
        return UNKNOWN
    count = len(intervals)
    value = math.fsum(one.value for one in intervals) / count
    below = math.hypot(*(one.value - one.low for one in intervals)) / count
    above = math.hypot(*(one.high - one.value for one in intervals)) / count
    return Interval(value, max(0.0, value - below), min(1.0, value + above))
