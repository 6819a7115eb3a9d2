"""Weighted laws and their Markov chains, against quadrature."""

from __future__ import annotations

import numpy as np
import pytest

from forethought.beliefs.grid_bank import GridBank, KindsOfEvidence, moved_points


def coin_laws(cube: np.ndarray) -> np.ndarray:
    """Two nodes; the only coordinate is the share of the second."""
    return np.stack([1 - cube[:, 0], cube[:, 0]], axis=1)


SEEN = KindsOfEvidence(np.array([[0.8, 0.1], [0.2, 0.9]]), np.array([30, 70]))
"""Evidence of two kinds about nodes, so the posterior of the share is no Beta law."""


def quadrature() -> tuple[float, float]:
    """Mean and standard deviation of the share under a uniform prior."""
    place = (np.arange(20_000) + 0.5) / 20_000
    logs = 30 * np.log(0.8 - 0.6 * place) + 70 * np.log(0.1 + 0.8 * place)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = weights @ place
    return float(mean), float(np.sqrt(weights @ (place - mean) ** 2))


def test_a_bank_has_the_posterior_of_quadrature() -> None:
    places = np.random.default_rng(0).random((20_000, 1))
    found = GridBank.of(places, coin_laws).posterior(SEEN, np.random.default_rng(0))

    mean, spread = quadrature()
    assert found.weights @ found.laws[:, 1] == pytest.approx(mean, abs=0.003)
    assert found.effective > 1000
    # The node of a question of the first kind, by Bayes' rule with the share's posterior.
    share = found.laws[:, 1]
    second = found.weights @ (0.2 * share / (0.2 * share + 0.8 * (1 - share)))
    assert found.node_shares()[0, 1] == pytest.approx(second, rel=1e-9)
    drawn = found.node_draws(np.random.default_rng(1), 4000)
    assert drawn[0].shape == (4000, 30)
    assert drawn[0].mean() == pytest.approx(second, abs=0.01)
    assert spread > 0.03


def test_chains_reach_the_posterior_from_anywhere() -> None:
    start = np.random.default_rng(0).random((400, 1))
    found = moved_points(start, coin_laws, SEEN, np.random.default_rng(1))

    mean, spread = quadrature()
    # 400 chains: a standard error of spread / 20.
    assert found.mean() == pytest.approx(mean, abs=4 * spread / 20)
    assert found.std() == pytest.approx(spread, rel=0.2)
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_bank_that_few_laws_of_explain_moves_them() -> None:
    poor = GridBank.of(np.linspace(0.0, 0.5, 40)[:, None], coin_laws)
    found = poor.posterior(SEEN, np.random.default_rng(0))

    mean, spread = quadrature()
    assert found.effective < 30
    assert found.laws[:, 1] @ found.weights == pytest.approx(mean, abs=4 * spread / np.sqrt(200))


def test_chains_do_not_stick_to_the_walls() -> None:
    blind = KindsOfEvidence(np.ones((2, 1)), np.array([1]))
    found = moved_points(
        np.random.default_rng(0).random((400, 3)), coin_laws, blind, np.random.default_rng(1)
    )

    # Without evidence the law stays uniform: a standard error of 0.01.
    assert found.mean() == pytest.approx(0.5, abs=0.04)
    assert ((found > 0) & (found < 1)).all()
    assert found.var() == pytest.approx(1 / 12, abs=0.012)
