"""Labels of probes, worked by hand and over whole grids."""

from __future__ import annotations

import itertools

import pytest

from forethought.beliefs.probes.labels import EASY, HARD, NORMAL, difficulty, win_or_tie


def test_an_answer_is_worth_the_share_of_others_that_score_no_better():
    assert win_or_tie([1.0, 0.0, 0.0, 0.5]) == pytest.approx([1.0, 1 / 3, 1 / 3, 2 / 3])
    assert win_or_tie([0.0, 0.0]) == pytest.approx([1.0, 1.0])
    assert win_or_tie([0.0]) == pytest.approx([1.0])


def test_it_is_the_count_by_loops():
    for scores in itertools.product([0.0, 0.5, 1.0], repeat=4):
        expected = [
            sum(other <= mine for n, other in enumerate(scores) if n != m) / 3
            for m, mine in enumerate(scores)
        ]
        assert win_or_tie(scores) == pytest.approx(expected)


def test_classes_of_difficulty_are_those_of_the_rule():
    limits = {"alpha": 0.5, "beta": 0.3, "gamma": 0.2}
    assert difficulty(0.9, 0.2, **limits) == NORMAL
    assert difficulty(0.5, 0.3, **limits) == NORMAL
    assert difficulty(0.9, 0.4, **limits) == EASY
    assert difficulty(0.3, 0.1, **limits) == EASY
    assert difficulty(0.1, 0.1, **limits) == HARD
    for accuracy, surprise in itertools.product([n / 8 for n in range(9)], [0.1, 0.3, 0.9]):
        here = difficulty(accuracy, surprise, **limits)
        lower = difficulty(max(0.0, accuracy - 0.2), surprise, **limits)
        assert not (here == HARD and lower != HARD)
