"""Extrapolation of curves that rise and saturate, such as accuracy over tokens or layers.

The prior is that of LC-PFN (arXiv:2310.20447), with the parameters of its authors' code: sums of a
power law, a logarithmic and a Janoschek curve over 100 steps, seen through noise. Ours differs in
two ways. It predicts the curve itself, which stays in [0, 1], where the published network predicts
the next noisy value. It has 0.2 million weights, not 26 million.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forethought.beliefs.amortised.prior_fitted import (
    Network,
    PriorFitting,
    SimulatedBatch,
    predicted,
)
from forethought.beliefs.amortised.weights_file import read_network
from forethought.beliefs.bars import BarBelief, share_borders
from forethought.contracts.beliefs import CURVE_STEPS as STEPS
from forethought.contracts.errors import UnfitError, UsageError

Floats = NDArray[np.float64]
_QUERIES = 6
_BARS = 128
_DEVIATION = 12**-0.5
"""Standard deviation of a uniform share, which scales steps and values."""


@dataclass(frozen=True)
class CurvePoints:
    """The first points of a curve: steps from 1 to 100, and values about from 0 to 1."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.values) or not np.isfinite(self.values).all():
            raise UsageError(
                f"{len(self.steps)} steps and {len(self.values)} values make no curve",
                "give a finite value for each step",
            )


@dataclass(frozen=True)
class CurveSimulator:
    """Simulated curves, of which some first points are seen."""

    @property
    def prior(self) -> str:
        """The prior in short."""
        return "learning curves of pow3, ilog2 and janoschek over 100 steps, noise logN(-4,1)"

    @property
    def features(self) -> tuple[int, int]:
        """Features of a point, and of a later step."""
        return 2, 1

    def borders(self) -> Floats:
        """Borders from the values of 2,000 curves."""
        return share_borders(curves(np.random.default_rng(0), 2000).ravel(), _BARS)

    def batch(self, rng: np.random.Generator, count: int) -> SimulatedBatch:
        """Curves that end at one step, and later steps of each."""
        drawn = curves(rng, count)
        seen = int(rng.integers(1, STEPS))
        noise = np.exp(rng.normal(-4, 1, (count, 1)))
        told = drawn[:, :seen] + noise * rng.standard_normal((count, seen))
        later = rng.integers(seen, STEPS, (count, _QUERIES))
        steps = np.broadcast_to(np.arange(1, seen + 1), told.shape)
        return SimulatedBatch(
            point_features(steps, told),
            np.ones(told.shape),
            step_features(later + 1),
            np.take_along_axis(drawn, later, axis=1),
        )


def curves(rng: np.random.Generator, count: int) -> Floats:
    """Curves of the prior over steps 1 to 100, [count, 100]: drawn until enough are sound."""
    kept: list[Floats] = []
    while sum(map(len, kept)) < count:
        drawn = _unchecked(rng, 4 * count)
        sound = np.isfinite(drawn).all(axis=1) & (drawn[:, -1] > drawn[:, 0])
        sound &= (drawn >= 0).all(axis=1) & (drawn <= 1).all(axis=1)
        kept.append(drawn[sound])
    return np.concatenate(kept)[:count]


def _unchecked(rng: np.random.Generator, count: int) -> Floats:
    x = np.arange(1, STEPS + 1, dtype=np.float64)

    def uniform(low: float, high: float) -> Floats:
        return rng.uniform(low, high, (count, 1))

    def lognormal(mean: float, spread: float) -> Floats:
        return np.exp(rng.normal(mean, spread, (count, 1)))

    with np.errstate(over="ignore", invalid="ignore"):
        power = uniform(0, 1.25) - uniform(-0.6, 0.6) * x ** -lognormal(0, 2)
        logarithm = uniform(0, 1) - uniform(-0.5, 0.5) / np.log(x + 1)
        top = uniform(0, 1)
        fall = np.exp(-lognormal(-2, 1) * x ** lognormal(0, 0.5))
        janoschek = top - (top - uniform(0, 2)) * fall
        parts = [uniform(0, 1) * part for part in (power, logarithm, janoschek)]
        found: Floats = np.sum(parts, axis=0)
    return found


@dataclass(frozen=True)
class CurveNetwork:
    """Beliefs about a curve at the steps `at`, by a trained network."""

    stored: Network
    at: tuple[float, ...]
    """Steps between whole ones are allowed, since the curves are smooth."""

    @classmethod
    def read(cls, file: Path, at: tuple[float, ...]) -> CurveNetwork:
        """Read trained weights; BadDataError for those of another prior."""
        learner = PriorFitting(CurveSimulator())
        return cls(read_network(file, learner.prior, learner.build), at)

    def condition(self, evidence: CurvePoints) -> BarBelief:
        """The belief about the curve; UnfitError for steps outside 1 to 100."""
        steps: tuple[float, ...] = (*evidence.steps, *self.at)
        if not evidence.steps or not all(1 <= step <= STEPS for step in steps):
            raise UnfitError(
                f"steps from {min(steps, default=0):g} to {max(steps, default=0):g} lie outside "
                "the network's training, or no point is seen",
                f"give points and steps from 1 to {STEPS}; scale longer curves",
            )
        context = point_features(np.array(evidence.steps), np.array(evidence.values))
        queries = step_features(np.array(self.at))
        return predicted(self.stored, context, np.ones(len(evidence.steps)), queries)


def step_features(steps: NDArray[np.int64] | Floats) -> Floats:
    """A step, scaled as a uniform share, [..., 1]."""
    return ((steps / (STEPS + 1) - 0.5) / _DEVIATION)[..., None]


def point_features(steps: NDArray[np.int64], values: Floats) -> Floats:
    """A step and its value, scaled alike, [..., 2]."""
    scaled = (values - 0.5) / _DEVIATION
    return np.concatenate((step_features(steps), scaled[..., None]), axis=-1)
