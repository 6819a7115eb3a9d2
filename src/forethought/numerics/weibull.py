"""Two kinds of numbers told apart: a mixture of two Weibull laws, fitted by likelihood.

The fit starts from one place and stays within bounds, as the released code of perplexity
consistency does (arXiv:2502.00511); it is the local optimum that is reached from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

START = np.array([0.5, 1.0, 1.0, 1.5, 2.0])
"""Share of the first law, its shape and scale, shape and scale of the second."""
BOUNDS = ((0.2, 0.8), *(((0.01, None),) * 4))
_LEAST = 1e-300  # a number of 0 has no density where a shape is below 1
_STEEPEST = 600.0  # exp of more is beyond what a float holds


@dataclass(frozen=True)
class Mixture:
    """Two Weibull laws, the one of the higher mean first."""

    share: float
    """Of the first law."""
    shapes: tuple[float, float]
    scales: tuple[float, float]

    @classmethod
    def of(cls, place: Numbers) -> Mixture:
        """The mixture of such parameters as START holds."""
        share, *laws = (float(value) for value in place)
        first, second = (laws[0], laws[1]), (laws[2], laws[3])
        if _mean(*first) < _mean(*second):
            share, first, second = 1 - share, second, first
        return cls(share, (first[0], second[0]), (first[1], second[1]))

    def first(self, values: Numbers) -> Numbers:
        """The chance that each value comes from the first law."""
        place = np.array([self.share, self.shapes[0], self.scales[0], *self._second])
        chances, _ = _parts(place, np.log(np.maximum(values, _LEAST)))
        return np.asarray(np.exp(chances[0]))

    @property
    def _second(self) -> tuple[float, float]:
        return self.shapes[1], self.scales[1]


def fitted(values: Numbers) -> Mixture:
    """The mixture that is fitted to values of at least 0, by bounded quasi-Newton steps."""
    # Here, since loading it takes longer than telling what a strategy is.
    from scipy.optimize import minimize

    logs = np.log(np.maximum(values, _LEAST))
    found = minimize(surprise, START, (logs,), jac=True, bounds=BOUNDS, method="L-BFGS-B")
    return Mixture.of(found.x)


def unlikely(values: Numbers) -> NDArray[np.bool_]:
    """Which values belong to the lower of two laws rather than the higher, and are below average.

    Never all of them: the greatest value is not below the average.
    """
    # Rounding may put the average of equal values just above them.
    below = values < values.mean() * (1 - 1e-12)
    if not below.any():
        return np.asarray(below)
    return np.asarray(below & (fitted(values).first(values) < 0.5))


def surprise(place: Numbers, logs: Numbers) -> tuple[float, Numbers]:
    """The negative log-likelihood of values by their logarithms, and its slope (5 numbers)."""
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
    """Log-chances (2 × values) that each comes from either law, and its log-density."""
    share, shapes, scales = place[0], place[1::2, None], place[2::2, None]
    away = logs - np.log(scales)
    bent = np.exp(np.minimum(shapes * away, _STEEPEST))
    density = np.log(shapes / scales) + (shapes - 1) * away - bent
    joint = density + np.log([[share], [1 - share]])
    whole = np.logaddexp(joint[0], joint[1])
    return joint - whole, whole


def _mean(shape: float, scale: float) -> float:
    return math.log(scale) + math.lgamma(1 + 1 / shape)
