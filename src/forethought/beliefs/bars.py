"""Bar distributions: a piecewise uniform density, as prior-data fitted networks give (2112.10510).

Quantities lie between the first and the last border. Shares that may be exactly 0 or 1 need
narrow bars at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.beliefs import LEVEL, tails

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BarBelief:
    """A bar distribution for each quantity; `sample` draws them independently."""

    borders: Floats
    """Ascending, [bars + 1]."""
    shares: Floats
    """Probability of each bar, [quantities, bars]."""

    @property
    def mean(self) -> Floats:
        """The expected quantities, [quantities]."""
        found: Floats = self.shares @ ((self.borders[1:] + self.borders[:-1]) / 2)
        return found

    @property
    def variance(self) -> Floats:
        """The variance of each quantity, [quantities]."""
        low, high = self.borders[:-1], self.borders[1:]
        squares: Floats = self.shares @ ((low**2 + low * high + high**2) / 3)
        return squares - self.mean**2

    def quantile(self, probability: float) -> Floats:
        """The quantile of each quantity, linear within a bar, [quantities]."""
        sums = np.concatenate((np.zeros((len(self.shares), 1)), self.shares.cumsum(axis=1)), axis=1)
        return np.array([np.interp(probability, row / row[-1], self.borders) for row in sums])

    def interval(self, level: float = LEVEL) -> Floats:
        """The central interval of each quantity, [quantities, 2]."""
        return np.stack([self.quantile(end) for end in tails(level)], axis=1)

    def sample(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws of each quantity from its own distribution, [count, quantities]."""
        found = np.empty((count, len(self.shares)))
        for quantity, row in enumerate(self.shares):
            bars = rng.choice(len(row), count, p=row / row.sum())
            low, high = self.borders[bars], self.borders[bars + 1]
            found[:, quantity] = low + (high - low) * rng.random(count)
        return found

    def exceeds(self, threshold: float) -> Floats:
        """The probability that each quantity is above a threshold, [quantities]."""
        low, high = self.borders[:-1], self.borders[1:]
        above = ((high - np.clip(threshold, low, high)) / (high - low)).clip(0.0, 1.0)
        found: Floats = self.shares @ above
        return found


def bar_of(borders: Floats, values: Floats) -> NDArray[np.int64]:
    """The bar that holds each value; values beyond the ends belong to the end bars."""
    found: NDArray[np.int64] = np.searchsorted(borders, values, side="right") - 1
    return found.clip(0, len(borders) - 2)


def share_borders(values: Floats, bars: int, end: float = 1e-4) -> Floats:
    """Borders of bars for shares: equally many values in each, and end bars of width `end`."""
    inner = values[(values > end) & (values < 1 - end)]
    middle = np.quantile(inner, np.linspace(0, 1, bars - 1)[1:-1])
    found: Floats = np.unique(np.concatenate(([0.0, end], middle, [1 - end, 1.0])))
    return found
