"""Bayesian optimisation over listed points: least cost under a constraint on the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.numerics.surrogates import (
    Surrogate,
    chance_above,
    expected_improvement,
    fit_matern,
    fit_wide_network,
)

Floats = NDArray[np.float64]
FITS: Mapping[str, Callable[[Floats, Floats], Surrogate]] = {
    "gp": fit_matern,
    "wide-network": fit_wide_network,
}
"""Surrogates by name."""
FIRST = 4
"""Points drawn at random before a surrogate chooses."""


@dataclass(frozen=True)
class Measurement:
    """The measured result at a point."""

    cost: float
    """The quantity to minimise, finite."""
    change: float
    """The difference of scores that the constraint bounds from below."""


@dataclass(frozen=True)
class SettingsSearch:
    """Chooses points [N, D]; the same seed and outcomes give the same choices."""

    points: Floats
    least: float
    """The least change of an admissible point."""
    fit: Callable[[Floats, Floats], Surrogate]
    seed: int = 0

    def following(self, tried: Mapping[int, Measurement | None]) -> int | None:
        """The next point, by number; None once all were tried. A refused point has no outcome."""
        left = np.array([n for n in range(len(self.points)) if n not in tried], dtype=np.int64)
        if not len(left):
            return None
        known = {place: one for place, one in tried.items() if one is not None}
        if len(known) < FIRST:
            return int(left[np.random.default_rng([self.seed, len(tried)]).integers(len(left))])
        return int(left[self._worth(known, self.points[left]).argmax()])

    def best(self, tried: Mapping[int, Measurement | None]) -> int | None:
        """The admissible point of least cost; None if there is none."""
        allowed = {
            place: one.cost
            for place, one in tried.items()
            if one is not None and one.change >= self.least
        }
        return min(allowed, key=lambda place: allowed[place], default=None)

    def _worth(self, known: Mapping[int, Measurement], points: Floats) -> Floats:
        """Expected improvement times the probability that the constraint holds."""
        at = self.points[list(known)]
        changes = self.fit(at, np.array([one.change for one in known.values()]))
        chance = chance_above(changes.predict(points), self.least)
        best = self.best(known)
        if best is None:
            return chance
        costs = self.fit(at, np.array([one.cost for one in known.values()]))
        return expected_improvement(costs.predict(points), known[best].cost) * chance
