from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from forethought.contracts.calibration import CALIBRATION_KINDS, log_odds
from forethought.numerics.calibration import (
    bootstrapped,
    brier,
    calibration_error,
    fitted,
    held_out,
    isotonic,
    platt,
    resamples,
    risk_coverage,
    temperature,
)
from forethought.numerics.ranking import auroc


def answers(seed, count=60, steps=20):
    """Numbers with ties, and outcomes that are likelier the greater the number."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, steps + 1, count) / steps
    return values, (rng.random(count) < 0.2 + 0.6 * values**2).astype(float)


def logistic_loss(slope, intercept, odds, targets):
    scores = slope * odds + intercept
    return float((np.logaddexp(0.0, scores) - targets * scores).sum())


@pytest.mark.parametrize("seed", range(5))
def test_isotonic_is_the_least_squares_rising_fit(seed):
    values, right = answers(seed)
    found = isotonic(values, right)

    # The min-max formula over distinct numbers, each weighted by its answers.
    steps = np.unique(values)
    sums = [right[values == step].sum() for step in steps]
    counts = [(values == step).sum() for step in steps]
    for place, step in enumerate(steps):
        best = max(
            min(sum(sums[a : b + 1]) / sum(counts[a : b + 1]) for b in range(place, len(steps)))
            for a in range(place + 1)
        )
        assert found(float(step)) == pytest.approx(best, abs=1e-12)


def test_isotonic_is_linear_between_blocks_and_constant_outside():
    found = isotonic(np.array([0.2, 0.4, 0.8]), np.array([0.0, 0.0, 1.0]))
    assert [found(at) for at in (0.0, 0.3, 0.6, 0.9)] == pytest.approx([0.0, 0.0, 0.5, 1.0])


@pytest.mark.parametrize("seed", range(5))
def test_platt_is_the_likeliest_logistic_curve_on_smoothed_targets(seed):
    values, right = answers(seed)
    slope, intercept = platt(values, right).parameters

    odds = np.array([log_odds(one) for one in values])
    hits, count = right.sum(), len(right)
    targets = np.where(right > 0, (hits + 1) / (hits + 2), 1 / (count - hits + 2))
    best = minimize(lambda at: logistic_loss(*at, odds, targets), [0.0, 0.0], tol=1e-10)
    assert logistic_loss(slope, intercept, odds, targets) == pytest.approx(best.fun, abs=1e-4)
    assert (slope, intercept) == pytest.approx(tuple(best.x), abs=1e-3)


def test_platt_never_turns_the_order_around():
    values = np.linspace(0.1, 0.9, 20)
    found = platt(values, (values < 0.5).astype(float))
    assert found(0.1) == found(0.9) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_outcomes_is_found(true):
    rng = np.random.default_rng(0)
    values = rng.uniform(0.02, 0.98, 4000)
    chances = 1 / (1 + np.exp(-np.array([log_odds(one) for one in values]) / true))
    right = (rng.random(len(values)) < chances).astype(float)
    # The standard error of the temperature is about 3 % here.
    assert temperature(values, right).parameters[0] == pytest.approx(true, rel=0.1)


def test_the_calibration_error_is_that_of_a_loop_over_bins():
    values, right = answers(1, count=200, steps=1000)
    total = 0.0
    for number in range(10):
        low, high = number / 10, (number + 1) / 10
        mine = [i for i, v in enumerate(values) if low <= v < high or (v == high == 1)]
        if mine:
            gap = sum(values[i] for i in mine) / len(mine) - sum(right[i] for i in mine) / len(mine)
            total += abs(gap) * len(mine) / len(values)
    assert calibration_error(values, right) == pytest.approx(total)


def test_the_brier_score_is_the_mean_squared_distance():
    assert brier(np.array([1.0, 0.25]), np.array([0.0, 1.0])) == pytest.approx((1 + 0.5625) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_auroc_is_the_share_of_ordered_pairs(seed):
    values, right = answers(seed)
    pairs = [
        (a > b) + (a == b) / 2
        for a, hit in zip(values, right, strict=True)
        for b, other in zip(values, right, strict=True)
        if hit > other
    ]
    assert auroc(values, right) == pytest.approx(sum(pairs) / len(pairs))


def test_auroc_has_no_value_if_all_answers_are_alike():
    assert math.isnan(auroc(np.array([0.1, 0.2]), np.ones(2)))


@pytest.mark.parametrize("kind", ["platt", "temperature"])
def test_a_rising_calibration_keeps_auroc(kind):
    values, right = answers(2)
    fit = fitted(kind, values, right)
    changed = np.array([fit(float(one)) for one in values])
    assert auroc(changed, right) == pytest.approx(auroc(values, right))


def test_risk_falls_with_coverage_as_a_loop_says():
    values = np.array([0.9, 0.9, 0.5, 0.7, 0.1])
    right = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    found = risk_coverage(values, right)
    # The two surest are tied, so each prefix of them has their mean error.
    assert found.risk == pytest.approx([0.5, 0.5, 1 / 3, 1 / 4, 2 / 5])
    assert found.area == pytest.approx(np.mean([0.5, 0.5, 1 / 3, 1 / 4, 2 / 5]))
    assert (found.at(0.6), found.at(1.0)) == pytest.approx((1 / 3, 2 / 5))


def test_a_bootstrap_draws_whole_clusters():
    # Ten copies of one answer are one cluster, so the interval is that of four answers.
    values, right = np.full(40, 0.5), np.repeat([1.0, 0.0, 0.0, 1.0], 10)
    names = [str(place // 10) for place in range(40)]

    def share(_, hits):
        return float(hits.mean())

    rng = np.random.default_rng(0)
    clustered = bootstrapped(share, values, right, resamples(names, rng))
    alone = bootstrapped(share, values, right, resamples([str(n) for n in range(40)], rng))
    assert clustered.value == alone.value == 0.5
    assert (clustered.low, clustered.high) == (0.0, 1.0)
    assert 0.3 < alone.low < alone.high < 0.7


def test_bootstrap_intervals_cover_the_true_auroc():
    # 90 worlds of 60 answers: 95 % coverage has a standard error of 2.3 %, and the percentile
    # bootstrap of so few answers covers about 93 %.
    rng, inside = np.random.default_rng(3), 0
    for _ in range(90):
        right = (rng.random(60) < 0.5).astype(float)
        values = rng.normal(right, 1.0)
        one = bootstrapped(auroc, values, right, resamples([str(n) for n in range(60)], rng, 200))
        inside += one.low <= 0.7602 <= one.high  # Phi(1 / sqrt(2))
    assert inside / 90 >= 0.86


@pytest.mark.parametrize("kind", CALIBRATION_KINDS)
def test_held_out_answers_never_see_their_own_outcome(kind):
    values, right = answers(4)
    folds = [place % 5 for place in range(len(values))]
    before = held_out(kind, values, right, folds)
    changed = np.where(np.array(folds) == 2, 1 - right, right)
    after = held_out(kind, values, changed, folds)
    mine = np.array(folds) == 2
    assert (before[mine] == after[mine]).all()
    assert (before[~mine] != after[~mine]).any()


@pytest.mark.parametrize("kind", CALIBRATION_KINDS)
def test_a_fit_of_few_answers_stays_a_probability(kind):
    for values, right in [([0.5], [1.0]), ([0.0, 1.0], [1.0, 1.0]), ([0.0, 0.0], [0.0, 1.0])]:
        found = fitted(kind, np.array(values), np.array(right))
        assert all(0 <= found(at) <= 1 for at in (0.0, 0.3, 1.0))
