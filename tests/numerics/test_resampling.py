"""Weights and resampling, against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.numerics.resampling import (
    effective_count,
    log_mean_exp,
    log_odds,
    multinomial,
    normalised,
    systematic,
)

SHARES = np.array([0.05, 0.0, 0.42, 0.13, 0.4])


class Fixed:
    """A generator whose next number is known."""

    def __init__(self, value):
        self.value = value

    def random(self, count=None):
        return self.value if count is None else np.full(count, self.value)


def test_odds_of_certain_scores_are_finite_and_opposite():
    assert log_odds(0.5) == 0.0
    assert log_odds(0.9) == pytest.approx(math.log(9))
    assert math.isfinite(log_odds(1.0))
    assert log_odds(1.0) == pytest.approx(-log_odds(0.0))
    assert log_odds(1.0) > log_odds(0.999999)


def test_mean_weight_of_very_small_weights():
    assert log_mean_exp([-1000.0, -1000.0 + math.log(3)]) == pytest.approx(-1000 + math.log(2))
    assert log_mean_exp([800.0]) == 800.0


def test_shares_follow_the_temperature():
    values = np.log([1.0, 2.0, 4.0])

    assert normalised(values) == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    assert normalised(values, 0.5) == pytest.approx([1 / 21, 4 / 21, 16 / 21])
    assert normalised(values, 1e9) == pytest.approx([1 / 3] * 3)  # hot: uniform
    assert normalised(values, 1e-6) == pytest.approx([0, 0, 1])  # cold: the greatest alone
    assert normalised([5000.0, 0.0], 1e-3) == pytest.approx([1, 0])


def test_effective_count_runs_from_one_to_all():
    assert effective_count([0.25] * 4) == pytest.approx(4)
    assert effective_count([0, 1, 0]) == pytest.approx(1)
    assert effective_count([0.5, 0.5, 0]) == pytest.approx(2)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12).filter(lambda w: sum(w) > 1e-3),
    st.integers(1, 40),
    st.integers(0, 10**6),
)
def test_systematic_copies_are_shares_rounded_down_or_up(weights, count, seed):
    shares = np.array(weights) / sum(weights)
    copies = systematic(shares, count, np.random.default_rng(seed))
    counts = np.bincount(copies, minlength=len(shares))

    assert len(copies) == count
    assert (counts >= np.floor(count * shares - 1e-9)).all()
    assert (counts <= np.ceil(count * shares + 1e-9)).all()


@pytest.mark.parametrize("kind", [systematic, multinomial])
def test_copies_are_unbiased(kind):
    rng, rounds, count = np.random.default_rng(0), 20_000, 7
    copies = np.concatenate([kind(SHARES, count, rng) for _ in range(rounds)])
    means = np.bincount(copies, minlength=5) / rounds

    # Four standard errors of the wider of the two, sqrt(7 * 0.42 * 0.58 / 20,000) = 0.0092.
    assert means == pytest.approx(count * SHARES, abs=0.037)
    assert means[1] == 0


def test_multinomial_copies_vary_as_independent_draws_do():
    rng = np.random.default_rng(1)
    firsts = [multinomial(SHARES, 7, rng).count(2) for _ in range(20_000)]
    assert np.var(firsts) == pytest.approx(7 * 0.42 * 0.58, rel=0.05)


@pytest.mark.parametrize("kind", [systematic, multinomial])
def test_a_draw_next_to_one_stays_within_the_shares(kind):
    almost = np.nextafter(1.0, 0.0)
    tenths = np.full(10, 0.1)
    assert np.cumsum(tenths)[-1] < 1.0  # the sum that rounding leaves short
    assert kind(tenths, 10, Fixed(almost))[-1] == 9

    # (count - 1 + draw) / count is 1 as a float; what follows the last share has none.
    assert kind(np.array([0.5, 0.5, 0.0]), 2**10, Fixed(almost))[-1] == 1


@pytest.mark.parametrize("kind", [systematic, multinomial])
def test_a_draw_of_zero_does_not_copy_what_has_no_share(kind):
    assert kind(np.array([0.0, 0.5, 0.5]), 1, Fixed(0.0)) == [1]
