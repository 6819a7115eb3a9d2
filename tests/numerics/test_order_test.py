"""The order test against scipy, plain counting, and its uniform p-values under the null."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kstest, spearmanr

from forethought.numerics.order_test import mean_ranks, order_test


def result_of(losses, seed: int = 0, permutations: int = 99):
    return order_test(losses, np.random.default_rng(seed), permutations)


@pytest.mark.parametrize("decimals", [1, 8])
def test_correlation_and_approximation_are_those_of_scipy(decimals: int) -> None:
    losses = np.random.default_rng(5).normal(size=60).round(decimals) - np.arange(60) / 80

    found, reference = result_of(losses), spearmanr(np.arange(60), losses)

    assert found.correlation == pytest.approx(reference.statistic, abs=1e-12)
    assert found.p_two_sided == pytest.approx(reference.pvalue, rel=1e-9)


def test_ties_share_their_mean_rank() -> None:
    assert mean_ranks(np.array([3.0, 1.0, 3.0, 2.0, 3.0])).tolist() == [4, 1, 4, 2, 4]


def test_the_p_value_counts_orders_with_a_correlation_as_low() -> None:
    losses = [4.0, 2.5, 3.0, 2.5, 1.0]
    statistic = spearmanr(range(5), losses).statistic
    orders = [spearmanr(range(5), list(one)).statistic for one in permutations(losses)]
    share = np.mean([one <= statistic + 1e-9 for one in orders])

    found = result_of(losses, permutations=4_999)

    # Four standard deviations of a share of 5,000 draws.
    assert found.p_value == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 5_000))


def test_falling_losses_give_the_least_p_value_and_rising_ones_the_greatest() -> None:
    assert result_of(-np.arange(30.0)).p_value == 1 / 100
    assert result_of(np.arange(30.0)).p_value == 1.0
    assert result_of(np.zeros(30)).p_value == result_of(np.zeros(30)).p_two_sided == 1.0


def test_only_the_ranks_of_losses_count() -> None:
    losses = np.random.default_rng(1).normal(size=40)

    assert result_of(losses) == result_of(np.exp(losses))
    assert result_of(losses).correlation == pytest.approx(-result_of(losses[::-1]).correlation)


def test_p_values_of_random_orders_are_uniform() -> None:
    rng = np.random.default_rng(2)
    losses = rng.gamma(0.5, size=50)

    found = [result_of(rng.permutation(losses), seed).p_value for seed in range(300)]

    # The 1 % critical value for 300 draws, and the width of a step of the p-value.
    assert kstest(found, "uniform").statistic < 1.63 / np.sqrt(300) + 1 / 100
