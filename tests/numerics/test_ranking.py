"""AUROC against counts of pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forethought.numerics.ranking import auroc, auroc_interval

RNG = np.random.default_rng(5)


def by_pairs(scores, labels, weights):
    """Every pair of a right and a wrong part, by loops."""
    won = total = 0.0
    for mine, right, own in zip(scores, labels, weights, strict=True):
        for other, label, weight in zip(scores, labels, weights, strict=True):
            pair = own * right * weight * (1 - label)
            total += pair
            won += pair * ((mine > other) + (mine == other) / 2)
    return won / total


def test_it_is_the_share_of_pairs_in_order():
    assert auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.0, 0.0, 1.0, 1.0])) == 0.75
    for _ in range(20):
        scores = RNG.integers(0, 6, 15).astype(float)
        labels, weights = RNG.uniform(0, 1, 15).round(1), RNG.uniform(0, 2, 15)
        expected = by_pairs(scores, labels, weights)
        assert auroc(scores, labels, weights) == pytest.approx(expected, rel=1e-12)


def test_a_monotone_map_changes_nothing_and_one_label_alone_has_none():
    scores, labels = RNG.normal(0, 1, 40), RNG.integers(0, 2, 40).astype(float)
    assert auroc(np.exp(scores), labels) == auroc(scores, labels)
    assert math.isnan(auroc(scores, np.ones(40)))


def test_copies_of_a_question_do_not_narrow_the_interval():
    scores, labels = RNG.normal(0, 1, 60), RNG.integers(0, 2, 60).astype(float)
    scores += labels
    names = [str(n) for n in range(60)]
    alone = auroc_interval(scores, labels, np.ones(60), names, np.random.default_rng(0))
    copied = auroc_interval(
        np.repeat(scores, 5), np.repeat(labels, 5), np.ones(300), list(np.repeat(names, 5)),
        np.random.default_rng(0),
    )  # fmt: skip
    assert copied.value == pytest.approx(alone.value)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    assert alone.low < alone.value < alone.high
