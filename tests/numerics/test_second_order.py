from __future__ import annotations

import numpy as np
import pytest

from forethought.numerics.second_order import (
    SecondOrder,
    corrected_variance,
    epistemic_confidence,
    variance_residual,
)

WORLDS = 40_000
PAIR = SecondOrder(2 / 7, 3 / 8)
"""A model that knows only that p follows Beta(2, 5): one true answer makes it Beta(3, 5)."""


def worlds(seed=0):
    return np.random.default_rng(seed).beta(2, 5, WORLDS)


def test_a_pair_that_changes_nothing_leaves_no_doubt():
    pair = SecondOrder(0.4, 0.4)
    assert (pair.variance, pair.interval(0.05)) == (0.0, (0.4, 0.4))
    assert epistemic_confidence(0.4, 0.4) == 1.0


def test_an_answer_without_probability_has_no_confidence():
    assert epistemic_confidence(0.0, 0.9) == 0.0


def test_confidence_is_the_ratio_and_at_most_one():
    assert epistemic_confidence(0.2, 0.8) == pytest.approx(0.25)
    assert epistemic_confidence(0.8, 0.2) == 1.0


def test_the_variance_is_the_squared_error_of_the_models_probability():
    # Beta(2, 5) has variance 10 / (49 * 8); the mean of 40,000 squares errs by 0.0002.
    assert PAIR.variance == pytest.approx(10 / (49 * 8))
    assert ((worlds() - PAIR.probability) ** 2).mean() == pytest.approx(PAIR.variance, abs=6e-4)


def test_both_outcomes_of_a_question_have_the_same_variance():
    other = SecondOrder(5 / 7, 6 / 8)
    assert other.variance == pytest.approx(PAIR.variance)


@pytest.mark.parametrize("beta", [0.05, 0.2, 0.5])
def test_the_interval_misses_as_seldom_as_stated(beta):
    low, high = PAIR.interval(beta)
    inside = ((worlds() >= low) & (worlds() <= high)).mean()
    assert inside >= 1 - beta


def test_residuals_of_a_calibrated_pair_average_to_zero():
    rng, truth = np.random.default_rng(1), worlds(2)
    first, second = rng.random(WORLDS) < truth, rng.random(WORLDS) < truth
    found = [variance_residual(PAIR, bool(a), bool(b)) for a, b in zip(first, second, strict=True)]
    # A residual has a standard deviation of 0.2, so the mean errs by 0.001.
    assert np.mean(found) == pytest.approx(0.0, abs=4e-3)
    assert variance_residual(PAIR, True, False) == variance_residual(PAIR, False, True)


def test_the_correction_adds_the_mean_residual_and_a_bound():
    found = corrected_variance(0.01, [0.02, 0.04], delta=0.1)
    assert found == pytest.approx(0.01 + 0.03 + 1.5 * (np.log(10) / 4) ** 0.5)
    assert corrected_variance(0.0, [-0.5] * 1000, delta=0.1) == 0.0
