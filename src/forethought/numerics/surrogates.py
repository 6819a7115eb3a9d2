"""An infinitely wide network as a surrogate for black-box tuning, and its acquisition.

It is a Gaussian process with the kernel of an infinitely wide ReLU network (arXiv:2305.20028: depth
3, variances 1.3 of biases and 10 of weights, as its authors' code). The noise is that of greatest
marginal likelihood on a grid; the scale is analytic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NOISES = (1e-6, 1e-4, 1e-2, 1e-1)
"""Variances of the noise, as shares of the signal's."""
_CLAMP = 1e-7


@dataclass(frozen=True)
class WideNetwork:
    """The covariance of an infinitely wide ReLU network; depth 0 is a linear function."""

    bias: float = 1.3
    weight: float = 10.0
    depth: int = 3

    def covariance(self, left: Floats, right: Floats) -> Floats:
        """[N, D] and [M, D] in the unit cube to covariances [N, M]."""
        bias, weight = self.bias, self.weight
        both = bias + weight * left @ right.T / max(1, left.shape[1])
        first, second = self._inputs(left), self._inputs(right)
        for _ in range(self.depth):
            norms = np.sqrt(np.outer(first, second))
            angle = np.arccos(np.clip(both / norms, -1 + _CLAMP, 1 - _CLAMP))
            arc = np.sin(angle) + (np.pi - angle) * np.cos(angle)
            both = bias + weight / (2 * np.pi) * norms * arc
            first, second = (bias + weight / 2 * own for own in (first, second))
        return np.asarray(both)

    def variance(self, points: Floats) -> Floats:
        """The variances [N] at points [N, D]."""
        own = self._inputs(points)
        for _ in range(self.depth):
            own = self.bias + self.weight / 2 * own
        return own

    def _inputs(self, points: Floats) -> Floats:
        squares = (points**2).sum(1)
        return np.asarray(self.bias + self.weight * squares / max(1, points.shape[1]))


class Posterior(NamedTuple):
    """Means and standard deviations [N] of the function, without noise."""

    mean: Floats
    deviation: Floats


@dataclass(frozen=True)
class Surrogate:
    """A fitted Gaussian process; `scale` and `shift` undo the standardisation."""

    network: WideNetwork
    points: Floats
    inverse: Floats
    """[N, N] of the covariance with noise, in units of the signal's variance."""
    weights: Floats
    signal: float
    shift: float
    scale: float

    def predict(self, points: Floats) -> Posterior:
        """The posterior at points [M, D]."""
        across = self.network.covariance(points, self.points)
        mean = across @ self.weights
        rest = self.network.variance(points) - np.einsum(
            "mn,nk,mk->m", across, self.inverse, across
        )
        deviation = np.sqrt(np.maximum(rest, 0) * self.signal)
        return Posterior(self.shift + self.scale * mean, self.scale * deviation)


def fit_wide_network(points: Floats, values: Floats) -> Surrogate:
    """The process of a wide network, with the noise of greatest marginal likelihood."""
    return _best(WideNetwork(), points, values).surrogate


def expected_improvement(predicted: Posterior, best: float) -> Floats:
    """The expected amount [N] by which the function falls below `best`; never negative."""
    # Imported late: scipy.special takes long to load.
    from scipy.special import ndtr

    gain, deviation = best - predicted.mean, predicted.deviation
    share = np.divide(gain, deviation, out=np.zeros_like(gain), where=deviation > 0)
    density = np.exp(-(share**2) / 2) / np.sqrt(2 * np.pi)
    unsure = np.maximum(gain * ndtr(share) + deviation * density, 0)
    return np.where(deviation > 0, unsure, np.maximum(gain, 0))


def chance_above(predicted: Posterior, least: float) -> Floats:
    """The probability [N] that the function is at least `least`."""
    from scipy.special import ndtr

    gap, deviation = predicted.mean - least, predicted.deviation
    share = np.divide(gap, deviation, out=np.zeros_like(gap), where=deviation > 0)
    return np.where(deviation > 0, ndtr(share), (gap >= 0).astype(np.float64))


class _Fit(NamedTuple):
    likelihood: float
    surrogate: Surrogate


def _best(network: WideNetwork, points: Floats, values: Floats) -> _Fit:
    return max(_fits(network, points, values), key=lambda one: one.likelihood)


def _fits(network: WideNetwork, points: Floats, values: Floats) -> Iterator[_Fit]:
    """A fit for each noise, with its marginal log-likelihood at the best scale of the signal."""
    shift, scale = float(values.mean()), float(values.std()) or 1.0
    standard, covariance = (values - shift) / scale, network.covariance(points, points)
    unit, count = float(np.diag(covariance).mean()), len(values)
    for noise in NOISES:
        noisy = covariance + noise * unit * np.eye(count)
        inverse: Floats = np.asarray(np.linalg.inv(noisy), dtype=np.float64)
        weights = inverse @ standard
        signal = max(float(standard @ weights) / count, 1e-12)
        determinant = float(np.linalg.slogdet(noisy)[1])
        likelihood = -(count * np.log(2 * np.pi * signal) + determinant + count) / 2
        yield _Fit(likelihood, Surrogate(network, points, inverse, weights, signal, shift, scale))
