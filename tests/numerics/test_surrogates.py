"""Surrogates against closed forms, plain loops and simulated networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from forethought.numerics.surrogates import (
    Posterior,
    WideNetwork,
    _best,
    chance_above,
    expected_improvement,
    fit_wide_network,
)

RNG = np.random.default_rng(0)
POINTS = RNG.random((9, 2))
VALUES = np.sin(4 * POINTS[:, 0]) + 0.1 * POINTS[:, 1] + 5


def test_the_wide_network_is_the_limit_of_random_networks() -> None:
    rng, width, draws = np.random.default_rng(1), 256, 4000
    left, right = np.array([0.9, 0.1]), np.array([0.2, 0.7])
    bias, weight = 1.3, 10.0
    products = []
    for _ in range(draws):
        inner = rng.normal(0, math.sqrt(weight / 2), (width, 2))
        shift = rng.normal(0, math.sqrt(bias), width)
        outer = rng.normal(0, math.sqrt(weight / width), width)
        top = rng.normal(0, math.sqrt(bias))
        one, two = (np.maximum(inner @ x + shift, 0) @ outer + top for x in (left, right))
        products.append(one * two)

    found = WideNetwork(bias, weight, depth=1).covariance(left[None], right[None])[0, 0]

    error = np.std(products) / math.sqrt(draws)
    assert found == pytest.approx(np.mean(products), abs=4 * error)  # four standard errors


def test_depth_zero_is_linear_and_covariances_are_positive() -> None:
    linear = WideNetwork(1.0, 2.0, 0).covariance(POINTS, POINTS)
    assert linear == pytest.approx(1 + POINTS @ POINTS.T)
    both = WideNetwork().covariance(POINTS, POINTS)
    assert WideNetwork().variance(POINTS) == pytest.approx(np.diag(both), rel=1e-5)  # the clamp
    assert both == pytest.approx(both.T)
    assert np.linalg.eigvalsh(both).min() > -1e-6 * both.max()


def test_the_likelihood_is_that_of_the_normal_distribution() -> None:
    found = _best(WideNetwork(), POINTS, VALUES)
    standard = (VALUES - VALUES.mean()) / VALUES.std()
    covariance = np.linalg.inv(found.surrogate.inverse) * found.surrogate.signal

    wanted = multivariate_normal(np.zeros(9), covariance).logpdf(standard)

    assert found.likelihood == pytest.approx(wanted, rel=1e-6)


def test_a_fit_is_sure_at_its_points_and_not_far_from_them() -> None:
    found = fit_wide_network(POINTS, VALUES)
    known, far = found.predict(POINTS), found.predict(np.array([[9.0, -9.0]]))

    assert known.mean == pytest.approx(VALUES, abs=0.1)
    assert far.deviation[0] > 3 * known.deviation.max()
    constant = fit_wide_network(POINTS, np.full(9, 2.0)).predict(POINTS)
    assert constant.mean == pytest.approx(np.full(9, 2.0))
    assert np.isfinite(constant.deviation).all()


def test_improvement_and_chance_are_the_integrals() -> None:
    predicted = Posterior(np.array([1.0, 0.2, 3.0]), np.array([0.5, 1.0, 0.1]))
    draws = (
        predicted.mean + predicted.deviation * norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    )

    wanted = np.maximum(0.8 - draws, 0).mean(0)

    assert expected_improvement(predicted, 0.8) == pytest.approx(wanted, abs=1e-3)
    assert chance_above(predicted, 0.8) == pytest.approx((draws >= 0.8).mean(0), abs=1e-3)
    sure = Posterior(np.array([1.0, 0.5]), np.zeros(2))
    assert expected_improvement(sure, 1.0).tolist() == [0, 0.5]
    assert chance_above(sure, 0.75).tolist() == [1, 0]
