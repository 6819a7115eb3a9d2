"""Bayesian linear regression with a normal inverse-gamma prior: closed forms, no sampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.numerics.intervals import UPPER
from forethought.numerics.student import student_quantile

Floats = NDArray[np.float64]
_PRIOR_COUNT = 4.0
"""Observations that the prior of the noise is worth."""


@dataclass(frozen=True)
class RegressionPrediction:
    """A prediction with its 95 % interval, noise included."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Regression:
    """The posterior of the weights [D] and of the noise variance."""

    mean: Floats
    covariance: Floats
    """[D, D], in units of the noise variance."""
    noise: float
    """The posterior scale of the noise variance."""
    freedom: float

    def predict(self, features: Floats) -> RegressionPrediction:
        """The Student-t prediction at features [D]."""
        value = float(features @ self.mean)
        spread = self.noise * (1 + float(features @ self.covariance @ features))
        reach = student_quantile(UPPER, round(self.freedom)) * float(np.sqrt(spread))
        return RegressionPrediction(value, value - reach, value + reach)


def regress(features: Floats, targets: Floats, scales: Floats, noise: float) -> Regression:
    """Fit targets [N] to features [N, D].

    Before any target, weight d is normal around 0 with standard deviation `scales[d]`, and the
    noise has a standard deviation of about `noise`.
    """
    precision = np.diag((noise / scales) ** 2)
    covariance = np.linalg.inv(precision + features.T @ features)
    mean = covariance @ features.T @ targets
    freedom = _PRIOR_COUNT + len(targets)
    left = targets - features @ mean
    squares = float(left @ left + mean @ precision @ mean)
    scale = (_PRIOR_COUNT * noise**2 + squares) / freedom
    return Regression(mean, np.asarray(covariance, np.float64), scale, freedom)
