"""Gaussian-process surrogates for black-box tuning, and their acquisition.

Kernels: Matern-5/2 with a length for each dimension, and that of an infinitely wide ReLU network
(arXiv:2305.20028: depth 3, variances 1.3 of biases and 10 of weights, as its authors' code).
Lengths and noise are those of greatest marginal likelihood on a grid; the scale is analytic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kernel = Callable[[Floats, Floats], Floats]
"""[N, D] and [M, D] in the unit cube to covariances [N, M]."""
LENGTHS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
NOISES = (1e-6, 1e-4, 1e-2, 1e-1)
"""Variances of the noise, as shares of the signal's."""
_CLAMP = 1e-7


class Posterior(NamedTuple):
    """Means and standard deviations [N] of the function, without noise."""

    mean: Floats
    deviation: Floats


@dataclass(frozen=True)
class Surrogate:
    """A fitted Gaussian process; `scale` and `shift` undo the standardisation."""

    kernel: Kernel
    points: Floats
    inverse: Floats
    """[N, N] of the covariance with noise, in units of the signal's variance."""
    weights: Floats
    signal: float
    shift: float
    scale: float

    def predict(self, points: Floats) -> Posterior:
        """The posterior at points [M, D]."""
        across = self.kernel(points, self.points)
        mean = across @ self.weights
        own = np.array([self.kernel(one[None], one[None])[0, 0] for one in points])
        rest = own - np.einsum("mn,nk,mk->m", across, self.inverse, across)
        deviation = np.sqrt(np.maximum(rest, 0) * self.signal)
        return Posterior(self.shift + self.scale * mean, self.scale * deviation)


def matern(lengths: Floats) -> Kernel:
    """Matern-5/2 with a length [D] for each dimension."""

    def kernel(left: Floats, right: Floats) -> Floats:
        gaps = (left[:, None] - right[None]) / lengths
        far = np.sqrt(5 * (gaps**2).sum(2))
        return np.asarray((1 + far + far**2 / 3) * np.exp(-far))

    return kernel


def wide_network(bias: float = 1.3, weight: float = 10.0, depth: int = 3) -> Kernel:
    """The covariance of an infinitely wide ReLU network; depth 0 is a linear function."""

    def kernel(left: Floats, right: Floats) -> Floats:
        size = max(1, left.shape[1])
        both = bias + weight * left @ right.T / size
        first, second = (bias + weight * (own**2).sum(1) / size for own in (left, right))
        for _ in range(depth):
            norms = np.sqrt(np.outer(first, second))
            angle = np.arccos(np.clip(both / norms, -1 + _CLAMP, 1 - _CLAMP))
            arc = np.sin(angle) + (np.pi - angle) * np.cos(angle)
            both = bias + weight / (2 * np.pi) * norms * arc
            first, second = (bias + weight / 2 * own for own in (first, second))
        return np.asarray(both)

    return kernel


def fit_matern(points: Floats, values: Floats) -> Surrogate:
    """The Matern process of greatest marginal likelihood; lengths are searched one by one."""
    lengths = np.full(points.shape[1], 0.4)
    for dimension in [*range(len(lengths))] * 2:
        tried = [np.where(np.arange(len(lengths)) == dimension, one, lengths) for one in LENGTHS]
        lengths = max(tried, key=lambda one: _best(matern(one), points, values).likelihood)
    return _best(matern(lengths), points, values).surrogate


def fit_wide_network(points: Floats, values: Floats) -> Surrogate:
    """The process of a wide network, with the noise of greatest marginal likelihood."""
    return _best(wide_network(), points, values).surrogate


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


def _best(kernel: Kernel, points: Floats, values: Floats) -> _Fit:
    return max(_fits(kernel, points, values), key=lambda one: one.likelihood)


def _fits(kernel: Kernel, points: Floats, values: Floats) -> Iterator[_Fit]:
    """A fit for each noise, with its marginal log-likelihood at the best scale of the signal."""
    shift, scale = float(values.mean()), float(values.std()) or 1.0
    standard, covariance = (values - shift) / scale, kernel(points, points)
    unit, count = float(np.diag(covariance).mean()), len(values)
    for noise in NOISES:
        noisy = covariance + noise * unit * np.eye(count)
        inverse: Floats = np.asarray(np.linalg.inv(noisy), dtype=np.float64)
        weights = inverse @ standard
        signal = max(float(standard @ weights) / count, 1e-12)
        determinant = float(np.linalg.slogdet(noisy)[1])
        likelihood = -(count * np.log(2 * np.pi * signal) + determinant + count) / 2
        yield _Fit(likelihood, Surrogate(kernel, points, inverse, weights, signal, shift, scale))
