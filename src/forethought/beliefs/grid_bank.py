"""A bank of simulated laws on a grid, weighted by the likelihood of the evidence.

Each question has an unknown node of the grid, drawn from one law that all questions share. The
likelihood of a question's evidence depends on its node alone, so the weight of a law is exact.
If few laws explain the evidence, Markov chains move them through the prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Laws = Callable[[Floats], Floats]
"""Points of the unit cube [laws, dimensions] to laws on the grid [laws, nodes]."""

FEWEST_EFFECTIVE = 30.0
"""Effective number of laws below which Markov chains replace the bank."""
_CHAINS, _SWEEPS = 200, 60
_STEP = 0.05
_FLOOR = 1e-300


@dataclass(frozen=True)
class KindsOfEvidence:
    """Questions grouped by equal evidence."""

    likelihood: Floats
    """Likelihood of each kind at each node, [nodes, kinds]."""
    times: Integers
    """Questions of each kind, [kinds]."""

    def log_evidence(self, laws: Floats) -> Floats:
        """Log-likelihood of all questions under each law, [laws]."""
        found: Floats = np.log(laws @ self.likelihood + _FLOOR) @ self.times
        return found


@dataclass(frozen=True)
class GridPosterior:
    """Weighted laws, given the evidence."""

    laws: Floats
    """[laws, nodes]"""
    weights: Floats
    """Posterior probability of each law; they sum to 1."""
    kinds: KindsOfEvidence
    effective: float
    """Effective number of laws that the bank had for the evidence."""

    def node_shares(self) -> Floats:
        """The posterior of a question's node, by kind of evidence, [kinds, nodes]."""
        used = self.weights > 0
        likelihood = self.kinds.likelihood
        each = self.weights[used, None] / (self.laws[used] @ likelihood + _FLOOR)
        shares: Floats = (self.laws[used].T @ each).T * likelihood.T
        found: Floats = shares / shares.sum(axis=1, keepdims=True)
        return found

    def node_draws(self, rng: np.random.Generator, draws: int) -> list[Integers]:
        """Joint draws of the questions' nodes, one array [draws, questions] per kind."""
        chosen = self.laws[rng.choice(len(self.laws), draws, p=self.weights)]
        kinds = zip(self.kinds.likelihood.T, self.kinds.times, strict=True)
        return [drawn_nodes(chosen * likelihood, int(times), rng) for likelihood, times in kinds]


@dataclass(frozen=True)
class GridBank:
    """Laws drawn from a prior, each a function of a point of the unit cube."""

    cube: Floats
    """[laws, dimensions]"""
    laws: Floats
    """[laws, nodes]"""
    law: Laws

    @classmethod
    def of(cls, cube: Floats, law: Laws) -> GridBank:
        """The laws at these points."""
        return cls(cube, law(cube), law)

    def posterior(self, kinds: KindsOfEvidence, rng: np.random.Generator) -> GridPosterior:
        """Weights of the laws; of moved laws if fewer than 30 are effective."""
        logs = kinds.log_evidence(self.laws)
        weights: Floats = np.exp(logs - logsumexp(logs))
        effective = float(1 / (weights**2).sum())
        if effective >= FEWEST_EFFECTIVE:
            return GridPosterior(self.laws, weights, kinds, effective)
        start = self.cube[rng.choice(len(self.cube), _CHAINS, p=weights)]
        moved = self.law(moved_points(start, self.law, kinds, rng))
        return GridPosterior(moved, np.full(_CHAINS, 1 / _CHAINS), kinds, effective)

    def log_evidence(self, kinds: KindsOfEvidence) -> float:
        """The log-likelihood of the evidence under the prior."""
        return float(logsumexp(kinds.log_evidence(self.laws)) - np.log(len(self.laws)))


def moved_points(
    start: Floats, law: Laws, kinds: KindsOfEvidence, rng: np.random.Generator
) -> Floats:
    """The points after Metropolis-Hastings sweeps, one chain a point.

    The prior is uniform on the cube and proposals are symmetric, so acceptance depends on the
    likelihood alone. Odd sweeps redraw one coordinate; even ones move all, reflected at the walls.
    """
    points, logs = start.copy(), kinds.log_evidence(law(start))
    for sweep in range(_SWEEPS):
        if sweep % 2:
            proposed = points.copy()
            rows = np.arange(len(points))
            proposed[rows, rng.integers(points.shape[1], size=len(points))] = rng.random(
                len(points)
            )
        else:
            proposed = _reflected(points + _STEP * rng.standard_normal(points.shape))
        proposed_logs = kinds.log_evidence(law(proposed))
        accepted = np.log(rng.random(len(points))) < proposed_logs - logs
        points[accepted], logs[accepted] = proposed[accepted], proposed_logs[accepted]
    return points


def _reflected(points: Floats) -> Floats:
    found: Floats = 1 - np.abs(1 - np.mod(points, 2))
    return found


def drawn_nodes(shares: Floats, times: int, rng: np.random.Generator) -> Integers:
    """`times` nodes from each row of unnormalised shares [draws, nodes]."""
    cumulative = shares.cumsum(axis=1)
    cumulative /= cumulative[:, -1:]
    rows = np.arange(len(shares))[:, None]
    # Rows lie behind each other on one line, so that one search serves all of them.
    places = np.searchsorted((cumulative + rows).ravel(), rng.random((len(shares), times)) + rows)
    found: Integers = (places - rows * shares.shape[1]).clip(0, shares.shape[1] - 1)
    return found
