"""The belief about a rate whose log-odds follow a mixture of normal laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from forethought.contracts.beliefs import LEVEL, tails
from forethought.contracts.errors import UsageError

Floats = NDArray[np.float64]
_GRID = 4001
_REACH = 8.0
"""Widths on either side of the outermost means that the grid covers."""


@dataclass(frozen=True)
class LogitMixture:
    """Normal components of the log-odds."""

    weights: Floats
    """They sum to 1, [components]."""
    means: Floats
    widths: Floats
    """Standard deviations."""

    def __post_init__(self) -> None:
        shapes = {self.weights.shape, self.means.shape, self.widths.shape}
        finite = all(np.isfinite(one).all() for one in (self.weights, self.means, self.widths))
        if len(shapes) > 1 or not finite or self.weights.min() < 0 or self.widths.min() <= 0:
            raise UsageError(
                "these components make no mixture",
                "give weights from 0, finite means and widths above 0, one each a component",
            )
        if abs(self.weights.sum() - 1) > 1e-6:
            raise UsageError(
                f"weights that sum to {self.weights.sum():g} make no mixture", "divide by the sum"
            )

    @property
    def mean(self) -> Floats:
        """The expected rate, [1]."""
        points = self._grid()
        shares = np.diff(self.below(points))
        middle = expit((points[1:] + points[:-1]) / 2)
        return np.array([shares @ middle / shares.sum()])

    def interval(self, level: float = LEVEL) -> Floats:
        """The central interval of the rate, [1, 2]."""
        points = self._grid()
        below = self.below(points)
        found: Floats = expit(np.array([np.interp(tails(level), below, points)]))
        return found

    def sample(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws of the rate, [count, 1]."""
        chosen = rng.choice(len(self.weights), count, p=self.weights / self.weights.sum())
        drawn = self.means[chosen] + self.widths[chosen] * rng.standard_normal(count)
        found: Floats = expit(drawn)[:, None]
        return found

    def below(self, points: Floats) -> Floats:
        """The probability of log-odds below each point."""
        found: Floats = ndtr((points[:, None] - self.means) / self.widths) @ self.weights
        return found

    def density(self, points: Floats) -> Floats:
        """The density of the log-odds at each point."""
        gaps = (points[:, None] - self.means) / self.widths
        found: Floats = np.exp(-0.5 * gaps**2) / (self.widths * np.sqrt(2 * np.pi)) @ self.weights
        return found

    def _grid(self) -> Floats:
        low = float((self.means - _REACH * self.widths).min())
        high = float((self.means + _REACH * self.widths).max())
        return np.linspace(low, high, _GRID)
