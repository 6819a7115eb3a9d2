"""A score expected from words, against quadrature and the mean of past results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from forethought.beliefs.expected import (
    DescribedScore,
    PastResult,
    ScoreBelief,
    chance_level,
    left_out_errors,
)
from forethought.contracts.beliefs import Counts
from forethought.contracts.errors import UsageError

PAST = (
    PastResult("grade-school arithmetic word problems, small model", 0.3, 40),
    PastResult("arithmetic word problems with distractors, small model", 0.35, 40),
    PastResult("arithmetic word problems in several languages, small model", 0.25, 40),
    PastResult("a code hidden in a long document, small model", 0.95, 40),
    PastResult("several codes hidden in a long document, small model", 0.9, 40),
    PastResult("a code hidden among codes in a long document, small model", 0.85, 40),
)
MODEL = DescribedScore(PAST)


def test_similar_past_results_move_the_prior_and_leave_it_wide() -> None:
    sums = MODEL.condition("arithmetic word problems, small model")
    needle = MODEL.condition("find the code hidden in a document, small model")

    assert sums.mean[0] < 0.5 < needle.mean[0]
    assert np.ptp(sums.interval()) > 0.4
    assert (
        MODEL.weights("arithmetic word problems")[:3].min()
        > MODEL.weights("arithmetic word problems")[3:].max()
    )
    assert MODEL.weights(PAST[0].description)[0] == pytest.approx(1.0)


def test_left_out_results_are_nearer_than_their_mean() -> None:
    own, mean = left_out_errors(PAST) or (1.0, 0.0)

    assert own < mean
    assert left_out_errors(PAST[:2]) is None


def test_guessing_is_a_floor() -> None:
    assert chance_level("a 4-way multiple choice test") == 0.25
    assert chance_level("5 options each") == 0.2
    assert chance_level("Yes or no questions") == 0.5
    assert chance_level("grade-school arithmetic") == 0.0
    found = MODEL.condition("a 4-way choice test")
    assert found.interval(0.999)[0, 0] >= 0.25


def test_evaluated_items_outweigh_the_words() -> None:
    prior = MODEL.condition("arithmetic word problems, small model")
    points = np.linspace(-12, 12, 801)

    found = prior.given(Counts.of([1] * 10, [1] * 9 + [0]))
    many = prior.given(Counts.of([1000], [800]))

    weight = prior.shares * expit(points) ** 9 * (1 - expit(points))
    assert found.mean[0] == pytest.approx(weight @ expit(points) / weight.sum(), rel=1e-9)
    assert many.mean[0] == pytest.approx(0.8, abs=0.01)
    assert prior.given(Counts((), ())).mean == pytest.approx(prior.mean)


def test_a_belief_has_the_moments_of_its_draws() -> None:
    belief = MODEL.condition("a 2-way choice test")
    drawn = belief.sample(np.random.default_rng(0), 20_000)

    assert drawn.shape == (20_000, 1)
    assert drawn.mean() == pytest.approx(belief.mean[0], abs=0.01)
    assert drawn.std() == pytest.approx(belief.spread, abs=0.01)
    assert np.quantile(drawn, [0.05, 0.95]) == pytest.approx(belief.interval()[0], abs=0.02)
    assert isinstance(belief, ScoreBelief)


def test_without_past_results_the_prior_is_wide_and_centred() -> None:
    alone = DescribedScore(()).condition("anything")

    assert alone.mean[0] == pytest.approx(0.5)
    assert np.ptp(alone.interval()) > 0.85
    with pytest.raises(UsageError, match="no words"):
        MODEL.condition(" … ")
