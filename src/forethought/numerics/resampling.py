"""Weights in logarithms, and copies drawn by them: the arithmetic of particle methods."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

FINEST = 1e-7
"""Scores are held this far from 0 and 1, so that their odds stay finite."""


def log_odds(score: float) -> float:
    """log(s / (1 - s)) of a score from 0 to 1."""
    held = min(max(score, FINEST), 1 - FINEST)
    return math.log(held) - math.log1p(-held)


def log_mean_exp(log_weights: Sequence[float] | np.ndarray) -> float:
    """log of the mean weight, of [N] finite log weights."""
    values = np.asarray(log_weights, dtype=float)
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).mean()))


def normalised(log_weights: Sequence[float] | np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """[N] shares that sum to 1, in proportion to weight ** (1 / temperature).

    The log weights are finite, the temperature is above 0.
    """
    values = np.asarray(log_weights, dtype=float)
    # The greatest is taken off first: a low temperature would overflow otherwise.
    shares = np.exp((values - values.max()) / temperature)
    return np.asarray(shares / shares.sum())


def effective_count(shares: Sequence[float] | np.ndarray) -> float:
    """How many equal shares would vary as much: 1 / sum of squares, from 1 to N."""
    values = np.asarray(shares, dtype=float)
    return 1.0 / float((values**2).sum())


def systematic(
    shares: Sequence[float] | np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    """Indices of `count` copies, ascending: of each, its share of them rounded down or up.

    On average each index comes count * share times. Nothing with a share of 0 is copied.
    """
    return _at(shares, (np.arange(count) + rng.random()) / count)


def multinomial(
    shares: Sequence[float] | np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    """Indices of `count` copies, each drawn by the shares alone."""
    return _at(shares, rng.random(count))


def swap_chance(
    log_weight_a: float, log_weight_b: float, temperature_a: float, temperature_b: float
) -> float:
    """The chance that two chains of different temperatures trade their states.

    It leaves each chain's law, weight ** (1 / temperature), as it is.
    """
    gain = (1 / temperature_a - 1 / temperature_b) * (log_weight_b - log_weight_a)
    return math.exp(min(0.0, gain))


def _at(shares: Sequence[float] | np.ndarray, positions: np.ndarray) -> list[int]:
    """Whose part of the line from 0 to 1 each position falls in."""
    values = np.asarray(shares, dtype=float)
    ends = np.cumsum(values)
    found = np.searchsorted(ends, positions, side="right")
    # Rounding may leave the last end below 1, and a position on 1: both belong to the last.
    return [int(place) for place in np.minimum(found, np.flatnonzero(values)[-1])]
