"""Coverage against enumeration, simulation and populations of known law."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import beta as beta_function

from forethought.contracts.errors import UsageError
from forethought.numerics.coverage import (
    PowerLaw,
    coverage,
    extrapolated,
    log_spaced,
    pass_at_k,
)


@st.composite
def counts(draw):
    samples = draw(st.integers(1, 9))
    return samples, draw(st.integers(0, samples)), draw(st.integers(1, samples))


@given(counts())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(drawn):
    samples, right, k = drawn
    subsets = list(combinations([True] * right + [False] * (samples - right), k))

    assert pass_at_k(*drawn) == pytest.approx(np.mean([any(one) for one in subsets]))


@given(st.integers(1, 300), st.data())
def test_pass_at_k_grows_from_the_share_of_right_samples_to_whether_there_is_one(samples, data):
    right = data.draw(st.integers(0, samples))
    curve = [pass_at_k(samples, right, k) for k in range(1, samples + 1)]

    assert curve[0] == pytest.approx(right / samples)
    assert curve[-1] == float(right > 0)
    assert curve == sorted(curve)


def test_pass_at_k_is_unbiased_where_the_plain_estimate_is_not():
    true = 1 - (1 - 0.07) ** 10
    right = np.random.default_rng(0).binomial(50, 0.07, size=20_000)
    by_count = [pass_at_k(50, count, 10) for count in range(51)]
    plain = 1 - (1 - right / 50) ** 10

    # Four standard errors; the plain one is off by ten times as much.
    assert np.mean([by_count[one] for one in right]) == pytest.approx(true, abs=0.007)
    assert plain.mean() < true - 0.03


def test_nothing_right_is_no_chance_at_all():
    assert str(pass_at_k(5, 0, 2)) == "0.0"


def test_many_samples_lose_no_digits():
    assert pass_at_k(10**6, 1, 3) == pytest.approx(3e-6, rel=1e-12)
    exact = 1 - math.comb(9_700, 100) / math.comb(10_000, 100)
    assert pass_at_k(10_000, 300, 100) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("wrong", [(5, 2, 6), (5, 2, 0), (5, 6, 2), (5, -1, 2)])
def test_k_beyond_the_samples_is_refused(wrong):
    with pytest.raises(UsageError, match="do not determine"):
        pass_at_k(*wrong)


def test_coverage_is_the_mean_over_questions_in_any_order():
    samples, right = [10, 10, 20], [0, 3, 20]
    by_hand = [
        np.mean([pass_at_k(n, c, k) for n, c in zip(samples, right, strict=True)]) for k in (1, 5)
    ]

    assert coverage(samples, right, [1, 5]) == pytest.approx(by_hand)
    assert coverage(samples[::-1], right[::-1], [1, 5]) == pytest.approx(by_hand)
    with pytest.raises(UsageError, match="do not determine pass@11"):
        coverage(samples, right, [11])


def test_k_are_spread_evenly_by_their_logarithms():
    assert log_spaced(1) == [1]
    assert log_spaced(8) == list(range(1, 9))
    assert log_spaced(10_000)[0] == 1
    assert log_spaced(10_000)[-1] == 10_000
    assert len(log_spaced(10_000)) <= 25
    late = np.diff(np.log(log_spaced(10_000)[-8:]))
    assert late == pytest.approx(late[0], rel=0.01)


def beta_coverage(a, b, k):
    """Coverage if success rates follow Beta(a, b), by its closed form."""
    return 1 - beta_function(a, b + k) / beta_function(a, b)


def test_a_population_of_known_chances_has_its_coverage():
    assert beta_coverage(2, 3, 1) == pytest.approx(2 / 5)
    assert beta_coverage(1, 1, 4) == pytest.approx(1 - 1 / 5)
    rng = np.random.default_rng(1)
    right = rng.binomial(40, rng.beta(0.25, 2.5, size=20_000))
    seen = coverage([40] * len(right), right.tolist(), [1, 10, 40])

    # Four standard errors.
    assert seen == pytest.approx([beta_coverage(0.25, 2.5, k) for k in (1, 10, 40)], abs=0.014)


def test_the_law_fits_coverage_of_a_population_of_chances():
    k = log_spaced(10_000)
    law = PowerLaw.fitted(k, [beta_coverage(0.25, 2.5, one) for one in k])

    off = [abs(law.at(one) - beta_coverage(0.25, 2.5, one)) for one in range(1, 10_001)]
    assert max(off) < 0.02
    assert law.a < 0
    assert law.b < 0


@pytest.mark.parametrize("law", [PowerLaw(-2.2, -0.33), PowerLaw(-8.0, -0.1), PowerLaw(-0.1, -1.5)])
def test_a_law_is_found_again_from_what_it_says(law):
    k = log_spaced(1000)
    found = PowerLaw.fitted(k, [law.at(one) for one in k])

    assert (found.a, found.b) == pytest.approx((law.a, law.b), rel=1e-6)


def test_the_fit_has_the_least_squares_of_all_laws_near_it():
    rng = np.random.default_rng(2)
    k = log_spaced(300)
    seen = [min(1.0, max(0.0, PowerLaw(-3, -0.4).at(one) + rng.normal(0, 0.05))) for one in k]
    found = PowerLaw.fitted(k, seen)

    def squares(law: PowerLaw) -> float:
        return sum((law.at(one) - value) ** 2 for one, value in zip(k, seen, strict=True))

    for a in (1 - 1e-5, 1, 1 + 1e-5):
        for b in (1 - 1e-5, 1, 1 + 1e-5):
            assert squares(found) <= squares(PowerLaw(found.a * a, found.b * b)) + 1e-16


@pytest.mark.parametrize(
    ("k", "seen"), [([1, 2], [0.0, 0.0]), ([1, 2], [1.0, 1.0]), ([3, 3], [0.4, 0.5])]
)
def test_coverage_that_shows_no_law_is_refused(k, seen):
    with pytest.raises(UsageError, match="shows no law"):
        PowerLaw.fitted(k, seen)


def population(questions, samples, seed):
    rng = np.random.default_rng(seed)
    right = rng.binomial(samples, rng.beta(0.25, 2.5, size=questions)).tolist()
    return [samples] * questions, right


def test_what_is_foreseen_does_not_depend_on_the_order_of_questions():
    samples, right = population(80, 100, 3)
    ahead = extrapolated(samples, right, [1, 1000], np.random.default_rng(0), resamples=50)
    behind = extrapolated(samples, right[::-1], [1, 1000], np.random.default_rng(0), resamples=50)

    assert [one.value for one in ahead] == pytest.approx([one.value for one in behind])


def test_intervals_cover_the_law_of_all_questions_as_often_as_they_say():
    k = log_spaced(50)
    law = PowerLaw.fitted(k, [beta_coverage(0.25, 2.5, one) for one in k])
    held = []
    for seed in range(50):
        samples, right = population(100, 50, seed)
        (one,) = extrapolated(samples, right, [500], np.random.default_rng(seed), resamples=60)
        assert 0 <= one.low <= one.value <= one.high <= 1
        held.append(one.low <= law.at(500) <= one.high)

    # 95 % less four standard errors, and not all by far too wide intervals.
    assert 0.83 <= np.mean(held) <= 1
    assert one.high - one.low < 0.3


def test_questions_of_one_source_make_wider_intervals():
    samples, right = population(40, 50, 5)
    once = extrapolated(samples, right, [100], np.random.default_rng(0), resamples=400)[0]
    four = [str(place) for place in range(40)] * 4
    again = extrapolated(samples * 4, right * 4, [100], np.random.default_rng(0), four, 400)[0]
    apart = extrapolated(samples * 4, right * 4, [100], np.random.default_rng(0), (), 400)[0]

    assert again.value == pytest.approx(once.value)
    assert again.high - again.low == pytest.approx(once.high - once.low, rel=0.1)
    assert apart.high - apart.low == pytest.approx((once.high - once.low) / 2, rel=0.2)


def test_sources_of_unlike_size_leave_no_doubt_where_questions_are_alike():
    (one,) = extrapolated(
        [20] * 6, [4] * 6, [50], np.random.default_rng(0), ["a", "b", "b", "b", "c", "c"], 50
    )

    assert one.low == pytest.approx(one.high)


def test_the_interval_holds_the_value_however_few_draws_it_is_made_of():
    samples, right = population(10, 50, 7)
    every = [extrapolated(samples, right, [9], dice, resamples=1)[0] for dice in _dice(20)]

    assert all(one.low <= one.value <= one.high for one in every)
    assert len({one.value for one in every}) == 1


def _dice(count):
    return [np.random.default_rng(seed) for seed in range(count)]


def test_nothing_is_foreseen_from_single_samples():
    with pytest.raises(UsageError, match="shows no law"):
        extrapolated([1, 1], [0, 1], [10], np.random.default_rng(0))
