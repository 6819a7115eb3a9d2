"""Second-order quantities of a model that predicts pairs of answers (arXiv:2402.08733)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class SecondOrder(NamedTuple):
    """What a pair model says of its own probability of an answer."""

    probability: float
    """p1, that of the answer as the first of a pair."""
    again: float
    """p2, that of the same answer as the second, after the first."""

    @property
    def variance(self) -> float:
        """The epistemic variance of p1; below 0 if the pair is not calibrated."""
        return self.probability * (self.again - self.probability)

    def interval(self, beta: float) -> tuple[float, float]:
        """An interval that misses the true probability with chance `beta` at most.

        By Chebyshev's inequality, for a calibrated pair model.
        """
        half = math.sqrt(max(0.0, self.variance) / beta)
        return max(0.0, self.probability - half), min(1.0, self.probability + half)


def epistemic_confidence(probability: float, again: float) -> float:
    """p1 / p2, at most 1; 0 for an answer without probability."""
    if probability <= 0:
        return 0.0
    return min(1.0, probability / again) if again > 0 else 1.0


def variance_residual(pair: SecondOrder, first: bool, second: bool) -> float:
    """An unbiased estimate of (p1 - p)^2 - V from two true answers: whether each is this one."""
    error = (pair.probability - first) * (pair.probability - second)
    return error - min(max(pair.variance, 0.0), 0.25)


def corrected_variance(variance: float, residuals: Sequence[float], delta: float) -> float:
    """The variance with the mean residual and its bound, right with probability 1 - `delta`."""
    count = len(residuals)
    slack = 1.5 * math.sqrt(math.log(1 / delta) / (2 * count))
    return max(0.0, variance + math.fsum(residuals) / count + slack)
