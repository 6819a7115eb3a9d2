"""Bins of questions, and policies that choose by them, on scores made up here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.errors import UsageError
from forethought.numerics.difficulty import (
    best_by_bin,
    cross_fitted,
    difficulty_bins,
    score_by_bin,
)


def dice(seed=0):
    return np.random.default_rng(seed)


@given(st.lists(st.integers(0, 20), min_size=5, max_size=60), st.integers(1, 5))
def test_bins_are_of_equal_size_and_go_from_easy_to_hard(success, bins):
    found = difficulty_bins(success, dice(), bins=bins)
    sizes = np.bincount(found)[1:]

    assert len(sizes) == bins
    assert sizes.max() - sizes.min() <= 1
    for one in range(1, bins):
        easier = [value for value, label in zip(success, found, strict=True) if label == one]
        harder = [value for value, label in zip(success, found, strict=True) if label == one + 1]
        assert min(easier) >= max(harder)


@given(st.lists(st.integers(0, 20), min_size=5, max_size=60))
def test_only_the_order_of_success_counts(success):
    again = [np.exp(one / 3) - 7 for one in success]

    assert (difficulty_bins(success, dice()) == difficulty_bins(again, dice())).all()


def test_equal_questions_are_sorted_by_what_comes_then_or_by_chance():
    same = [0.0] * 100
    then = list(np.random.default_rng(1).permutation(100))
    found = difficulty_bins(same, dice(), then=then)

    assert (found == difficulty_bins(then, dice())).all()
    first, second = difficulty_bins(same, dice(1)), difficulty_bins(same, dice(2))
    assert (first != second).any()
    assert (first != np.sort(first)).any()
    assert (first == difficulty_bins(same, dice(1))).all()


@pytest.mark.parametrize("bins", [0, 4])
def test_more_bins_than_questions_are_refused(bins):
    with pytest.raises(UsageError, match="3 questions make no"):
        difficulty_bins([0.1, 0.2, 0.3], dice(), bins=bins)


@pytest.mark.parametrize("seed", range(20))
def test_a_choice_by_bins_is_never_worse_than_one_for_all_on_the_questions_it_was_made_on(seed):
    scores = np.random.default_rng(seed).random((4, 53))
    bins = difficulty_bins(scores.mean(0), dice())

    reached = score_by_bin(scores, bins, best_by_bin(scores, bins))
    assert reached >= scores.mean(1).max() - 1e-12
    assert reached <= scores.max(0).mean() + 1e-12


def test_one_bin_has_the_best_strategy_for_all():
    scores = np.random.default_rng(0).random((4, 30))
    bins = difficulty_bins(scores.mean(0), dice(), bins=1)

    assert best_by_bin(scores, bins) == {1: int(scores.mean(1).argmax())}
    assert score_by_bin(scores, bins, best_by_bin(scores, bins)) == scores.mean(1).max()


def test_strategies_that_suit_some_questions_are_chosen_for_those():
    easy = np.arange(40) < 20
    scores = np.array([easy, ~easy]).astype(float)
    bins = difficulty_bins(easy.astype(float), dice(), bins=2)

    assert best_by_bin(scores, bins) == {1: 0, 2: 1}
    assert score_by_bin(scores, bins, {1: 0, 2: 1}) == 1
    assert score_by_bin(scores, bins, {1: 1, 2: 0}) == 0
    assert cross_fitted(scores, bins, dice()) == 1
    assert cross_fitted(scores, bins, dice(), folds=7) == 1


def test_every_question_counts_once_in_folds_of_any_size():
    scores = np.arange(11.0)[None]
    bins = difficulty_bins(scores[0], dice(), bins=3)

    for folds in (2, 3):
        assert cross_fitted(scores, bins, dice(), folds) == pytest.approx(5)


def test_folds_are_dealt_by_chance():
    scores = np.random.default_rng(3).random((3, 20))
    bins = difficulty_bins(scores.mean(0), dice(), bins=2)

    assert len({cross_fitted(scores, bins, dice(seed)) for seed in range(10)}) > 1
    assert cross_fitted(scores, bins, dice(1)) == cross_fitted(scores, bins, dice(1))


def test_a_choice_on_other_questions_gains_nothing_from_noise():
    gains, honest = [], []
    for seed in range(200):
        scores = np.random.default_rng(seed).integers(0, 2, (8, 40)).astype(float)
        bins = difficulty_bins([0.0] * 40, dice(seed))
        gains.append(score_by_bin(scores, bins, best_by_bin(scores, bins)))
        honest.append(cross_fitted(scores, bins, dice(seed)))

    # Coins: every choice is worth one half; four standard errors.
    assert np.mean(honest) == pytest.approx(0.5, abs=0.023)
    assert np.mean(gains) > 0.65


def test_a_bin_that_cannot_be_dealt_out_is_refused():
    with pytest.raises(UsageError, match="a bin of 1 questions"):
        cross_fitted(np.zeros((2, 3)), np.array([1, 1, 2]), dice())
    with pytest.raises(UsageError, match="into 1 folds"):
        cross_fitted(np.zeros((2, 4)), np.array([1, 1, 2, 2]), dice(), folds=1)
