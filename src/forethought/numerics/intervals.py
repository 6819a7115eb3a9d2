"""95 % intervals of mean scores; they cover which questions were drawn, and nothing else.

Scores lie in [0, 1] and so do the intervals. All rest on Wilson's: independent scores of 0 or
1 get it as published; for others and for clusters, the number of questions is replaced by the
number of 0/1 scores that would have the same error, and the normal quantile by Student's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.comparison import Interval
from forethought.numerics.student import normal_quantile, student_quantile

UPPER = 0.975
"""The probability below the upper end."""


@dataclass(frozen=True)
class Clustered:
    """Values by cluster: questions made from one source say less than as many from several."""

    sums: NDArray[np.float64]
    """The sum of the values of each cluster."""
    sizes: NDArray[np.float64]
    """How many values each cluster has."""

    @classmethod
    def of(cls, values: Sequence[float], clusters: Sequence[str]) -> Clustered:
        """Each value's cluster is named at the same place in `clusters`."""
        _, places = np.unique(np.asarray(clusters, dtype=object), return_inverse=True)
        sums = np.bincount(places, np.asarray(values, dtype=np.float64)).astype(np.float64)
        return cls(sums, np.bincount(places).astype(np.float64))

    @classmethod
    def alone(cls, values: Sequence[float]) -> Clustered:
        """Each value a cluster of its own."""
        return cls(np.asarray(values, dtype=np.float64), np.ones(len(values)))

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return len(self.sums)

    @property
    def mean(self) -> float:
        """The mean over values, not over clusters."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def error(self) -> float:
        """The standard error of the mean where clusters are drawn whole; 0 for one cluster."""
        residuals = self.sums - self.sizes * self.mean
        spread = float(residuals @ residuals) * self.count / max(self.count - 1, 1)
        return math.sqrt(spread) / float(self.sizes.sum())


def wilson(mean: float, count: float, quantile: float | None = None) -> Interval:
    """Wilson's interval of a share seen in `count` draws: never empty, not at 0 or 1 either."""
    quantile = normal_quantile(UPPER) if quantile is None else quantile
    spread = quantile**2 / count
    centre = (mean + spread / 2) / (1 + spread)
    half = quantile / (1 + spread) * math.sqrt(mean * (1 - mean) / count + spread / (4 * count))
    # Rounding must not push an end past the mean or out of [0, 1].
    return Interval(mean, max(0.0, min(centre - half, mean)), min(1.0, max(centre + half, mean)))


def mean_interval(scores: Sequence[float], clusters: Sequence[str]) -> Interval:
    """The mean of one task's scores, each from a cluster named at the same place.

    One cluster, or scores that are all alike, count as one 0/1 score per cluster: what does
    not vary shows no error, and is not therefore certain.
    """
    grouped, alone = Clustered.of(scores, clusters), Clustered.alone(scores)
    mean = min(1.0, max(0.0, grouped.mean))
    if grouped.count == alone.count and set(scores) <= {0, 1}:
        return wilson(mean, grouped.count)
    # Few clusters may look more alike than single questions do, by chance alone.
    error = max(grouped.error, alone.error)
    if grouped.count == 1 or error < 1e-9:
        return wilson(mean, grouped.count)
    return wilson(mean, mean * (1 - mean) / error**2, student_quantile(UPPER, grouped.count - 1))


def mean_of_intervals(intervals: Sequence[Interval]) -> Interval:
    """The mean of independent estimates, each counting alike.

    Distances to the ends add up as errors do (the method of variance estimates recovery of
    Zou and Donner): the interval of one estimate is its own, and none leaves [0, 1].
    """
    count = len(intervals)
    value = math.fsum(one.value for one in intervals) / count
    below = math.hypot(*(one.value - one.low for one in intervals)) / count
    above = math.hypot(*(one.high - one.value for one in intervals)) / count
    return Interval(value, max(0.0, value - below), min(1.0, value + above))
