"""Log weights and resampling for particle methods."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

FINEST = 1e-7
"""Scores are clamped this far from 0 and 1, so that their odds stay finite."""


def log_odds(score: float) -> float:
    """The log odds log(s / (1 - s)) of a score from 0 to 1."""
    held = min(max(score, FINEST), 1 - FINEST)
    return math.log(held) - math.log1p(-held)


def log_mean_exp(log_weights: Sequence[float] | np.ndarray) -> float:
    """The log of the mean of [N] weights, from their finite logarithms."""
    values = np.asarray(log_weights, dtype=float)
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).mean()))


def normalised(log_weights: Sequence[float] | np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of [N] finite log weights: shares proportional to weight ** (1 / temperature).

    The temperature is above 0.
    """
    values = np.asarray(log_weights, dtype=float)
    # Subtract the maximum first: a low temperature would overflow otherwise.
    shares = np.exp((values - values.max()) / temperature)
    return np.asarray(shares / shares.sum())


def effective_count(shares: Sequence[float] | np.ndarray) -> float:
    """The effective sample size 1 / sum of squared shares, from 1 to N."""
    values = np.asarray(shares, dtype=float)
    return 1.0 / float((values**2).sum())


def systematic(
    shares: Sequence[float] | np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    """Systematic resampling: `count` indices, ascending, each count * share rounded down or up.

    The expected number of copies of an index is count * share; a share of 0 is never copied.
    """
    return _at(shares, (np.arange(count) + rng.random()) / count)


def multinomial(
    shares: Sequence[float] | np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    """Multinomial resampling: `count` independent indices, drawn by share."""
    return _at(shares, rng.random(count))


def swap_chance(
    log_weight_a: float, log_weight_b: float, temperature_a: float, temperature_b: float
) -> float:
    """The acceptance probability of a replica-exchange swap between two temperatures.

    The swap preserves each chain's distribution, weight ** (1 / temperature).
    """
    gain = (1 / temperature_a - 1 / temperature_b) * (log_weight_b - log_weight_a)
    return math.exp(min(0.0, gain))


def _at(shares: Sequence[float] | np.ndarray, positions: np.ndarray) -> list[int]:
    """The index whose interval of cumulative shares holds each position."""
    values = np.asarray(shares, dtype=float)
    ends = np.cumsum(values)
    found = np.searchsorted(ends, positions, side="right")
    # Rounding may leave the last end below 1 or a position at 1: both belong to the last index.
    return [int(place) for place in np.minimum(found, np.flatnonzero(values)[-1])]
