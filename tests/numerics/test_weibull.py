"""The fit against a straight transcription of its formulas."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from forethought.numerics.weibull import START, Mixture, fitted, surprise, unlikely


def density(x, shape, scale):
    with np.errstate(over="ignore", invalid="ignore"):
        dense = (shape / scale) * (x / scale) ** (shape - 1) * np.exp(-((x / scale) ** shape))
    return np.nan_to_num(dense)


def loss(place, values):
    """The negative log-likelihood, as it is written down."""
    w, k1, l1, k2, l2 = place
    mixed = w * density(values, k1, l1) + (1 - w) * density(values, k2, l2)
    return -np.log(mixed + 1e-300).sum()


def pruned(mixture, values):
    """The rule as it is written down: the lower law is likelier, and below the average."""
    (k1, k2), (l1, l2), w = mixture.shapes, mixture.scales, mixture.share
    assert l1 * math.gamma(1 + 1 / k1) >= l2 * math.gamma(1 + 1 / k2)
    mean = sum(values) / len(values)
    lower = [w * density(x, k1, l1) < (1 - w) * density(x, k2, l2) for x in values]
    return [low and x < mean for low, x in zip(lower, values, strict=True)]


def sample_sets(count):
    """Chances of texts as models give them: one kind, or two near or far apart."""
    rng = np.random.default_rng(7)
    for number in range(count):
        size = int(rng.integers(16, 65))
        match number % 3:
            case 0:
                yield rng.beta(rng.uniform(2, 20), rng.uniform(2, 8), size)
            case 1:
                high = rng.random(size) < rng.uniform(0.3, 0.7)
                two = np.where(high, rng.normal(0.85, 0.03, size), rng.normal(0.55, 0.05, size))
                yield two.clip(0.01, 0.999)
            case _:
                yield np.exp(-rng.gamma(2, 0.1, size))


def loss_and_slope(place, values):
    """The loss and its slope by complex steps, which are exact and know nothing of the formula."""
    steps = np.eye(5) * 1e-20j
    return loss(place, values), np.array(
        [loss(place + step, values).imag for step in steps]
    ) / 1e-20


def transcribed(values):
    """What is pruned, as the method is written down: start, bounds, fit and rule."""
    bounds = [(0.2, 0.8)] + [(0.01, None)] * 4
    start = [0.5, 1.0, 1.0, 1.5, 2.0]
    fit = minimize(loss_and_slope, start, (values,), "L-BFGS-B", jac=True, bounds=bounds)
    w, k1, l1, k2, l2 = fit.x
    if l1 * math.gamma(1 + 1 / k1) < l2 * math.gamma(1 + 1 / k2):
        w, k1, l1, k2, l2 = 1 - w, k2, l2, k1, l1
    return pruned(Mixture(w, (k1, k2), (l1, l2)), values)


def flat(mixture):
    return np.array(
        [mixture.share, mixture.shapes[0], mixture.scales[0], mixture.shapes[1], mixture.scales[1]]
    )


def test_loss_and_slope_are_those_of_the_formula():
    rng = np.random.default_rng(1)
    for values in sample_sets(100):
        place = np.array([rng.uniform(0.2, 0.8), *rng.uniform(0.3, 6, 4)])
        found, slope = surprise(place, np.log(values))
        assert found == pytest.approx(loss(place, values), rel=1e-9)
        for axis in np.eye(5) * 1e-6:
            numeric = (loss(place + axis, values) - loss(place - axis, values)) / 2e-6
            assert slope @ axis / 1e-6 == pytest.approx(numeric, rel=1e-4, abs=1e-3)


def agreed(count):
    for values in sample_sets(count):
        found = unlikely(values)
        assert not found[values.argmax()]
        yield found.tolist() == transcribed(values)


def test_what_is_pruned_is_what_the_method_says():
    assert all(agreed(30))


@pytest.mark.slow
def test_a_thousand_sets_are_pruned_as_the_method_says():
    # There are several valleys: two ways of rounding may, seldom, end in different ones.
    assert sum(agreed(1000)) >= 997


def test_the_fit_is_within_bounds_and_better_than_its_start():
    for values in sample_sets(9):
        mixture = fitted(values)
        assert 0.2 - 1e-9 <= mixture.share <= 0.8 + 1e-9
        assert min(*mixture.shapes, *mixture.scales) >= 0.01
        assert surprise(flat(mixture), np.log(values))[0] < loss(START, values)


def test_known_laws_are_found():
    rng = np.random.default_rng(11)
    for _ in range(3):
        values = np.concatenate([4 * rng.weibull(6, 300), rng.weibull(3, 200)])
        mixture = fitted(values)
        assert np.abs(surprise(flat(mixture), np.log(values))[1]).max() < 0.1
        # Three standard errors of 500 draws and of the shapes from 200 and more.
        assert mixture.share == pytest.approx(0.6, abs=0.07)
        assert mixture.scales == pytest.approx((4.0, 1.0), abs=0.15)
        assert mixture.shapes == pytest.approx((6.0, 3.0), abs=0.9)


def test_neither_law_is_given_less_than_a_fifth():
    rng = np.random.default_rng(12)
    for level, other, many, few, share in ((0.85, 0.3, 60, 4, 0.8), (0.3, 0.85, 60, 4, 0.2)):
        values = [rng.normal(level, 0.02, many), rng.normal(other, 0.02, few)]
        assert fitted(np.concatenate(values)).share == pytest.approx(share)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_law_of_the_higher_mean_is_first_with_its_share(swapped):
    place = [0.7, 2.0, 1.0, 3.0, 4.0] if swapped else [0.3, 3.0, 4.0, 2.0, 1.0]
    mixture = Mixture.of(np.array(place))
    assert (mixture.shapes, mixture.scales) == ((3.0, 2.0), (4.0, 1.0))
    assert mixture.share == pytest.approx(0.3)

    values = np.array([0.5, 1.5, 3.0])
    high, low = 0.3 * density(values, 3.0, 4.0), 0.7 * density(values, 2.0, 1.0)
    assert mixture.first(values) == pytest.approx(high / (high + low))


def test_two_groups_far_apart_are_told_apart():
    rng = np.random.default_rng(3)
    for high, low in ((24, 16), (30, 20), (16, 16)):
        values = np.concatenate([rng.uniform(0.8, 0.95, high), rng.uniform(0.2, 0.4, low)])
        order = rng.permutation(len(values))
        assert unlikely(values[order]).tolist() == (values[order] < 0.5).tolist()


@pytest.mark.parametrize("value", [0.1, 1.0, 0.7, 1e-300, 0.0])
def test_equal_values_are_never_pruned(value):
    for size in range(1, 40):
        assert not unlikely(np.full(size, value)).any()


def test_values_of_0_and_1_do_no_harm():
    values = np.array([0.0, 1.0, 1.0, 0.9, 0.95, 1e-200, 0.99, 0.0])
    assert unlikely(values).dtype == bool
    assert not unlikely(values)[1]
