"""A mixture of two Weibull distributions, fitted by maximum likelihood.

The fit starts from one fixed point within bounds, as in the released code of perplexity
consistency (arXiv:2502.00511), and returns the local optimum reached from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

START = np.array([0.5, 1.0, 1.0, 1.5, 2.0])
"""Share, shape and scale of the first component, shape and scale of the second."""
BOUNDS = ((0.2, 0.8), *(((0.01, None),) * 4))
_LEAST = 1e-300  # a value of 0 has infinite density if a shape is below 1
_STEEPEST = 600.0  # exp overflows a float soon after


@dataclass(frozen=True)
class Mixture:
    """Two Weibull components, the one of higher mean first."""

    share: float
    """Share of the first component."""
    shapes: tuple[float, float]
    scales: tuple[float, float]

    @classmethod
    def of(cls, place: Numbers) -> Mixture:
        """The mixture with parameters in the order of START."""
        share, *laws = (float(value) for value in place)
        first, second = (laws[0], laws[1]), (laws[2], laws[3])
        if _mean(*first) < _mean(*second):
            share, first, second = 1 - share, second, first
        return cls(share, (first[0], second[0]), (first[1], second[1]))

    def first(self, values: Numbers) -> Numbers:
        """The posterior probability that each value comes from the first component."""
        place = np.array([self.share, self.shapes[0], self.scales[0], *self._second])
        chances, _ = _parts(place, np.log(np.maximum(values, _LEAST)))
        return np.asarray(np.exp(chances[0]))

    @property
    def _second(self) -> tuple[float, float]:
        return self.shapes[1], self.scales[1]


def fitted(values: Numbers) -> Mixture:
    """Fit a mixture to values of at least 0 by bounded quasi-Newton steps (L-BFGS-B)."""
    # Imported late: scipy.optimize takes longer to load than listing a strategy.
    from scipy.optimize import minimize

    logs = np.log(np.maximum(values, _LEAST))
    found = minimize(surprise, START, (logs,), jac=True, bounds=BOUNDS, method="L-BFGS-B")
    return Mixture.of(found.x)


def unlikely(values: Numbers) -> NDArray[np.bool_]:
    """Mask of values below the mean that rather belong to the lower component.

    The greatest value is never masked.
    """
    # Rounding may put the mean of equal values just above them.
    below = values < values.mean() * (1 - 1e-12)
    if not below.any():
        return np.asarray(below)
    return np.asarray(below & (fitted(values).first(values) < 0.5))


def surprise(place: Numbers, logs: Numbers) -> tuple[float, Numbers]:
    """The negative log-likelihood of values, given as logarithms, and its gradient [5]."""
    share, shapes, scales = place[0], place[1::2, None], place[2::2, None]
    chances, whole = _parts(place, logs)
    belong = np.exp(chances)
    away = logs - np.log(scales)
    bent = 1 - np.exp(np.minimum(shapes * away, _STEEPEST))
    by_shape = (belong * (1 / shapes + away * bent)).sum(1)
    by_scale = -(belong * bent).sum(1) * place[1::2] / place[2::2]
    by_share = belong[0].sum() / share - belong[1].sum() / (1 - share)
    slope = -np.array([by_share, by_shape[0], by_scale[0], by_shape[1], by_scale[1]])
    return -float(whole.sum()), slope


def _parts(place: Numbers, logs: Numbers) -> tuple[Numbers, Numbers]:
    """Log posteriors [2, values] of the components, and the log-density of each value."""
    share, shapes, scales = place[0], place[1::2, None], place[2::2, None]
    away = logs - np.log(scales)
    bent = np.exp(np.minimum(shapes * away, _STEEPEST))
    density = np.log(shapes / scales) + (shapes - 1) * away - bent
    joint = density + np.log([[share], [1 - share]])
    whole = np.logaddexp(joint[0], joint[1])
    return joint - whole, whole


def _mean(shape: float, scale: float) -> float:
    return math.log(scale) + math.lgamma(1 + 1 / shape)
