"""The prior over learning curves, and a network that has seen a few of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forethought.beliefs.amortised.learning_curve import (
    CurveNetwork,
    CurvePoints,
    CurveSimulator,
    curves,
)
from forethought.beliefs.amortised.prior_fitted import PriorFitting
from forethought.beliefs.amortised.training import TrainingPlan, train
from forethought.contracts.beliefs import CURVE_STEPS as STEPS
from forethought.contracts.errors import UnfitError, UsageError


def test_curves_of_the_prior_rise_within_bounds() -> None:
    drawn = curves(np.random.default_rng(0), 300)

    assert drawn.shape == (300, STEPS)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert (drawn[:, -1] > drawn[:, 0]).all()
    assert drawn.std(axis=0).min() > 0.1, "curves differ"


def test_a_batch_shows_noisy_first_points_and_asks_about_later_ones() -> None:
    batch = CurveSimulator().batch(np.random.default_rng(4), 50)

    seen = batch.context.shape[1]
    steps = (batch.context[0, :, 0] * 12**-0.5 + 0.5) * (STEPS + 1)
    asked = (batch.queries[..., 0] * 12**-0.5 + 0.5) * (STEPS + 1)
    assert steps == pytest.approx(np.arange(1, seen + 1))
    assert asked.min() >= seen + 1 - 1e-9
    assert asked.max() <= STEPS + 1e-9
    assert ((batch.targets >= 0) & (batch.targets <= 1)).all()
    shown = batch.context[..., 1] * 12**-0.5 + 0.5
    assert not ((shown >= 0) & (shown <= 1)).all() or seen < 5, "noise may leave the bounds"


def test_a_little_training_follows_the_level_of_a_curve(tmp_path: Path) -> None:
    file = tmp_path / "n"
    plan = TrainingPlan(steps=60, batch=32, learning_rate=5e-3, warm_up=10, width=16, layers=1)
    train(PriorFitting(CurveSimulator()), plan, file, lambda step, loss: None)
    network = CurveNetwork.read(file, (40, 100))

    low, high = (
        network.condition(CurvePoints(tuple(range(1, 31)), (level,) * 30)) for level in (0.2, 0.8)
    )

    # 60 steps tell curves apart; without any training both beliefs are nearly equal.
    assert (high.mean > low.mean + 0.08).all()
    assert (low.interval()[:, 0] < low.mean).all()


def test_points_outside_the_training_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "n"
    plan = TrainingPlan(steps=1, batch=2, width=8, layers=1)
    train(PriorFitting(CurveSimulator()), plan, file, lambda step, loss: None)
    network = CurveNetwork.read(file, (101,))

    with pytest.raises(UnfitError, match="steps from 1 to 101"):
        network.condition(CurvePoints((1,), (0.5,)))
    with pytest.raises(UnfitError, match="no point is seen"):
        network.condition(CurvePoints((), ()))
    with pytest.raises(UsageError, match="make no curve"):
        CurvePoints((1, 2), (0.5,))
