"""Beliefs on a stream against conjugate counts and enumeration of all change points."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import multivariate_normal

from forethought.beliefs.class_means import ALPHA, ClassMeans, Whitening
from forethought.beliefs.stream import ChangeAlarm, DiscountedRate
from forethought.beliefs.success import UNIFORM, Beta
from forethought.contracts.errors import BadParameterError, UsageError


def test_without_forgetting_a_stream_is_beta_binomial() -> None:
    outcomes = [True, False, False, True, True]

    found = DiscountedRate(keep=1.0).condition(outcomes)

    assert found == UNIFORM.given(5, 3)


def test_old_outcomes_tell_less_by_the_share_that_is_kept() -> None:
    outcomes, keep = [True, False, True, True], 0.8
    found = DiscountedRate(Beta(2.0, 3.0), keep).condition(outcomes)

    ages = range(len(outcomes) - 1, -1, -1)
    pairs = list(zip(ages, outcomes, strict=True))
    assert found.a == pytest.approx(2 + sum(keep**age for age, hit in pairs if hit))
    assert found.b == pytest.approx(3 + sum(keep**age for age, hit in pairs if not hit))
    for bad in (0.0, 1.1, float("nan")):
        with pytest.raises(BadParameterError, match="cannot be kept"):
            DiscountedRate(keep=bad)


def after_all(alarm: ChangeAlarm, outcomes: Iterable[bool]) -> ChangeAlarm:
    for outcome in outcomes:
        alarm = alarm.after(bool(outcome))
    return alarm


def enumerated(outcomes: list[bool], hazard: float) -> tuple[np.ndarray, float]:
    """P(run length) and the expected rate, by all ways to cut the outcomes into runs."""
    count = len(outcomes)
    lengths, rate, total = np.zeros(count), 0.0, 0.0
    for cuts in product((False, True), repeat=count - 1):
        places = [0, *[n + 1 for n, cut in enumerate(cuts) if cut], count]
        weight = hazard ** sum(cuts) * (1 - hazard) ** (count - 1 - sum(cuts))
        for start, end in pairwise(places):
            hits = sum(outcomes[start:end])
            weight *= np.exp(betaln(1 + hits, 1 + end - start - hits) - betaln(1, 1))
        last = count - places[-2]
        lengths[last - 1] += weight
        rate += weight * (1 + sum(outcomes[places[-2] :])) / (2 + last)
        total += weight
    return lengths / total, rate / total


def test_run_lengths_are_those_of_all_cuts() -> None:
    outcomes = [True, True, False, True, False, False, False, False]
    found = after_all(ChangeAlarm(hazard=0.2), outcomes)
    lengths, rate = enumerated(outcomes, 0.2)

    assert np.exp(found.logs) == pytest.approx(lengths, rel=1e-9)
    assert found.rate == pytest.approx(rate, rel=1e-9)
    assert found.seen == 8


def test_the_alarm_follows_a_change_and_not_chance() -> None:
    rng = np.random.default_rng(0)
    alarm = after_all(ChangeAlarm(), rng.random(200) < 0.8)
    raised = [alarm.raised]
    for outcome in rng.random(60) < 0.2:
        alarm = alarm.after(bool(outcome))
        raised.append(alarm.raised)

    assert not raised[0]
    assert raised.index(True) < 25
    false = 0
    for seed in range(5):
        still = ChangeAlarm()
        for outcome in np.random.default_rng(seed).random(300) < 0.7:
            still = still.after(bool(outcome))
            false += still.raised
    assert false <= 5


def test_long_runs_are_joined() -> None:
    alarm = after_all(ChangeAlarm(longest=10, recent=3), [True] * 40)

    assert len(alarm.logs) == 10
    assert np.exp(alarm.logs).sum() == pytest.approx(1)
    assert alarm.rate > 0.85


RNG = np.random.default_rng(3)
EMBEDDINGS = RNG.standard_normal((12, 3)) + np.repeat(np.eye(3) * 3, 4, axis=0)
CLASSES = np.repeat([0, 1, 2], 4)
SHARES = np.eye(4)[CLASSES]
EMPTY = ClassMeans.prior(4, 3, noise=0.7, spread=2.0)


def test_classes_have_the_posterior_of_the_joint_normal_law() -> None:
    """Against the normal law of all embeddings of a class at once, its mean integrated out."""
    found = EMPTY.including(EMBEDDINGS, SHARES)
    point, joint = np.array([1.0, 0.3, -0.4]), []
    for name in range(4):
        own = EMBEDDINGS[name == CLASSES]

        def evidence(points: np.ndarray) -> float:
            count = len(points)
            cover = 2.0 * np.ones((count, count)) + 0.7 * np.eye(count)
            laws = multivariate_normal(np.zeros(count), cover)
            return float(sum(laws.logpdf(points[:, axis]) for axis in range(3)))

        before = evidence(own) if len(own) else 0.0
        share = (ALPHA + len(own)) / (4 * ALPHA + 12)
        joint.append(np.log(share) + evidence(np.vstack([own, point])) - before)
    expected = np.array(joint) - np.logaddexp.reduce(joint)

    assert found.log_posterior(point[None])[0] == pytest.approx(expected, rel=1e-9)


def test_order_and_batches_make_no_difference() -> None:
    whole = EMPTY.including(EMBEDDINGS, SHARES)
    order, single = np.random.default_rng(0).permutation(12), EMPTY
    for place in order:
        single = single.including(EMBEDDINGS[[place]], SHARES[[place]])

    assert whole.precision == pytest.approx(single.precision)
    assert whole.weighted == pytest.approx(single.weighted, abs=1e-9)
    assert whole.alpha == pytest.approx(single.alpha)
    assert whole.variances[3] == pytest.approx(2.7), "a class without examples keeps its prior"


def test_an_example_may_belong_to_classes_by_parts() -> None:
    half = EMPTY.including(EMBEDDINGS[:1], np.array([[0.5, 0.5, 0.0, 0.0]]))
    twice = EMPTY.including(EMBEDDINGS[[0, 0]], np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]) / 2)

    assert half.precision == pytest.approx(twice.precision)
    assert half.weighted == pytest.approx(twice.weighted)
    assert half.alpha[0] == half.alpha[1] == ALPHA + 0.5


def test_many_examples_leave_the_noise_alone() -> None:
    many = RNG.standard_normal((4000, 3)) * 0.7**0.5 + np.array([1.0, -2.0, 0.5])
    found = EMPTY.including(many, np.tile(np.eye(4)[1], (4000, 1)))

    assert found.means[1] == pytest.approx([1.0, -2.0, 0.5], abs=0.06)
    assert found.variances[1] == pytest.approx(0.7, abs=0.001)
    assert np.exp(EMPTY.log_posterior(many[:1])) == pytest.approx(np.full((1, 4), 0.25))


def test_whitening_leaves_variance_one_within_classes() -> None:
    scaled = EMBEDDINGS * np.array([1.0, 20.0, 0.1])
    white = Whitening.fitted(scaled, SHARES).of(scaled)

    within = [
        white[start : start + 4] - white[start : start + 4].mean(axis=0) for start in (0, 4, 8)
    ]
    assert np.concatenate(within).std(axis=0) == pytest.approx(np.ones(3))


def test_embeddings_that_do_not_fit_are_refused() -> None:
    for embeddings, shares in (
        (np.zeros((2, 4)), SHARES[:2]),
        (np.full((1, 3), np.nan), SHARES[:1]),
        (np.zeros((1, 3)), np.ones((1, 5))),
        (np.zeros((1, 3)), -SHARES[:1]),
    ):
        with pytest.raises(UsageError, match="do not fit"):
            EMPTY.including(embeddings, shares)
    with pytest.raises(UsageError, match="make no model"):
        ClassMeans.prior(2, 3, noise=0.0)
