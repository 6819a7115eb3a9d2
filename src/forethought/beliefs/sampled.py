"""A belief that consists of equally likely draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.beliefs import LEVEL, tails

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SampledBelief:
    """Draws of some quantities from their posterior."""

    draws: Floats
    """[draws, quantities]"""

    @property
    def mean(self) -> Floats:
        """The expected quantities, [quantities]."""
        found: Floats = self.draws.mean(axis=0)
        return found

    def interval(self, level: float = LEVEL) -> Floats:
        """The central interval of each quantity, [quantities, 2]."""
        found: Floats = np.quantile(self.draws, tails(level), axis=0).T
        return found

    def sample(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws with replacement, [count, quantities]."""
        found: Floats = self.draws[rng.integers(len(self.draws), size=count)]
        return found
