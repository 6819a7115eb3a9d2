"""Bayesian regression against an integral over a grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from forethought.numerics.bayesian_regression import regress

X = np.array([0.5, 1.0, -1.5, 2.0, 0.1])
Y = np.array([1.1, 1.7, -3.2, 4.4, 0.3])
SCALE, NOISE = 0.7, 0.3


def test_the_prediction_is_the_integral_over_weights_and_noise() -> None:
    weights = np.linspace(-2, 6, 1601)[:, None]
    logs = np.linspace(np.log(1e-4), np.log(1e2), 1200)[None]  # of the noise variance
    variance = np.exp(logs)
    # An inverse-gamma of 4 prior observations of NOISE; a change of variables adds `logs`.
    density = -2 * logs - 4 * NOISE**2 / 2 / variance
    spread = variance * (SCALE / NOISE) ** 2
    density = density - (np.log(spread) + weights**2 / spread) / 2
    for x, y in zip(X, Y, strict=True):
        density = density - (logs + (y - weights * x) ** 2 / variance) / 2
    mass = np.exp(density - density.max())
    mass /= mass.sum()

    found = regress(X[:, None], Y, np.array([SCALE]), NOISE)
    predicted = found.predict(np.array([1.3]))

    assert predicted.value == pytest.approx(1.3 * (mass * weights).sum(), abs=1e-4)
    for end, share in ((predicted.low, 0.025), (predicted.high, 0.975)):
        below = (mass * ndtr((end - 1.3 * weights) / np.sqrt(variance))).sum()
        assert below == pytest.approx(share, abs=1e-3)  # the grid's step


def test_without_targets_the_prior_predicts() -> None:
    found = regress(np.empty((0, 2)), np.empty(0), np.array([1.0, 2.0]), 0.1)

    predicted = found.predict(np.array([1.0, 0.5]))

    # Student's t with 4 degrees of freedom: 2.776 times the root of 1 + 1 + 0.01.
    assert predicted.value == 0
    assert predicted.high == pytest.approx(2.776445 * np.sqrt(2.01), rel=1e-6)
    assert predicted.low == -predicted.high


def test_many_targets_outweigh_the_prior() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 2))
    targets = features @ [3.0, -2.0] + rng.normal(0, 0.5, 400)

    found = regress(features, targets, np.array([0.3, 0.3]), 0.15)

    # Four standard errors of 0.5 / 20, and a shrinkage of 1 in 400 * (0.3 / 0.5)^2.
    assert found.mean == pytest.approx([3.0, -2.0], abs=0.12)
    assert found.noise == pytest.approx(0.25, abs=0.06)
