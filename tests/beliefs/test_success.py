"""The Beta law of success rates against scipy's, and against what it was drawn from."""

import math

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import betabinom

from forethought.beliefs.success import Beta


def moment(a, b, power):
    """The mean of rate^power."""
    return math.exp(betaln(a + power, b) - betaln(a, b))


@pytest.mark.parametrize(
    ("a", "b"), [(0.3, 0.7), (0.5, 0.5), (1, 1), (5, 3), (0.02, 0.9), (900, 80)]
)
def test_the_nodes_have_the_moments_of_the_law(a, b):
    rates, shares = Beta(a, b).nodes()

    assert shares.sum() == pytest.approx(1)
    assert ((rates >= 0) & (rates <= 1)).all()
    for power in (1, 2, 5, 20, 47):
        assert shares @ rates**power == pytest.approx(moment(a, b, power), abs=1e-10)
        assert shares @ (1 - rates) ** power == pytest.approx(moment(b, a, power), abs=1e-10)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (2, 6), (0.2, 1.5)])
def test_counts_in_exact_proportion_give_the_law_back(a, b):
    # 100,000 questions of eight answers, in the proportions of the law.
    counts = np.round(1e5 * betabinom(8, a, b).pmf(range(9))).astype(int)
    right = np.repeat(np.arange(9), counts).tolist()
    found = Beta.fitted([8] * len(right), right)
    assert (found.a, found.b) == pytest.approx((a, b), rel=0.01)


def test_no_neighbour_is_likelier():
    rng = np.random.default_rng(2)
    samples = rng.integers(2, 12, 60)
    right = rng.binomial(samples, rng.beta(0.7, 1.4, 60))

    def likelihood(a, b):
        return betabinom(samples, a, b).logpmf(right).sum()

    found = Beta.fitted(samples.tolist(), right.tolist())
    best = likelihood(found.a, found.b)
    for near in (0.98, 1.02):
        assert likelihood(found.a * near, found.b) < best
        assert likelihood(found.a, found.b * near) < best


@pytest.mark.parametrize("right", [[0, 0, 0], [4, 4, 4], [0, 4, 4], [2, 2, 2]])
def test_counts_without_spread_or_with_nothing_else_are_fitted_too(right):
    found = Beta.fitted([4] * 3, right)
    mean = found.a / (found.a + found.b)
    assert found.a > 0
    assert found.b > 0
    assert mean == pytest.approx(sum(right) / 12, abs=0.05)
    assert np.isfinite(found.nodes()[0]).all()


def test_what_was_seen_moves_the_law_of_a_question():
    assert Beta(0.5, 1.5).given(4, 3) == Beta(3.5, 2.5)
