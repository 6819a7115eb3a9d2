"""Bar distributions against integration over a fine grid and draws."""

from __future__ import annotations

import numpy as np
import pytest

from forethought.beliefs.bars import BarBelief, bar_of, share_borders

BORDERS = np.array([0.0, 0.1, 0.35, 0.6, 1.0])
BELIEF = BarBelief(BORDERS, np.array([[0.1, 0.4, 0.3, 0.2], [0.0, 0.0, 0.0, 1.0]]))


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Points and the probability near each, [2, points]."""
    place = (np.arange(100_000) + 0.5) / 100_000
    bars = bar_of(BORDERS, place)
    return place, BELIEF.shares[:, bars] / np.diff(BORDERS)[bars] / 100_000


def test_moments_and_tails_are_those_of_the_density() -> None:
    place, shares = grid()
    mean = shares @ place

    assert BELIEF.mean == pytest.approx(mean, abs=1e-6)
    assert BELIEF.variance == pytest.approx(shares @ place**2 - mean**2, abs=1e-6)
    for threshold in (-1.0, 0.05, 0.4, 2.0):
        assert BELIEF.exceeds(threshold) == pytest.approx(shares @ (place > threshold), abs=2e-5)


def test_quantiles_invert_the_distribution() -> None:
    place, shares = grid()
    for probability in (0.05, 0.3, 0.5, 0.95):
        found = BELIEF.quantile(probability)
        below = [row[place <= value].sum() for row, value in zip(shares, found, strict=True)]
        assert below == pytest.approx([probability] * 2, abs=1e-4)
    assert BELIEF.interval(0.9)[:, 0] == pytest.approx(BELIEF.quantile(0.05))


def test_draws_follow_the_density() -> None:
    drawn = BELIEF.sample(np.random.default_rng(0), 20_000)

    assert drawn.shape == (20_000, 2)
    assert drawn.mean(axis=0) == pytest.approx(BELIEF.mean, abs=0.01)
    assert drawn[:, 1].min() >= 0.6
    assert (drawn[:, 0] < 0.35).mean() == pytest.approx(0.5, abs=0.02)


def test_borders_of_shares_have_narrow_ends_and_equal_contents() -> None:
    values = np.concatenate((np.random.default_rng(0).beta(2, 5, 5000), np.zeros(500), np.ones(9)))
    borders = share_borders(values, 20)

    assert borders[[0, 1, -2, -1]] == pytest.approx([0.0, 1e-4, 1 - 1e-4, 1.0])
    inner = np.bincount(bar_of(borders, values), minlength=20)[1:-1]
    assert inner.max() - inner.min() <= 2
    assert bar_of(borders, np.array([-1.0, 2.0])).tolist() == [0, 19]
