"""Counting answers."""

import math

import pytest

from forethought.numerics.votes import Tally, borda, leader_chance


def test_who_says_nothing_never_wins():
    tally = Tally.of([None, None, None, 0], [5.0, 5.0, 5.0, 0.1])
    assert tally.winner == 0
    assert tally.weights == (0.0, 0.0, 0.0, 0.1)
    assert tally.share == 1.0
    assert Tally.of([None, None], [1.0, 1.0]).winner is None


def test_logarithms_of_chances_are_refused_as_weights():
    with pytest.raises(AssertionError, match="counts for nothing or more"):
        Tally.of([0, 1], [math.log(0.9), math.log(0.1)])


def test_the_part_that_agrees():
    tally = Tally.of([0, 1, 0, None], [1.0, 2.0, 3.0, 9.0])
    assert [tally.part(place) for place in range(4)] == [4 / 6, 2 / 6, 4 / 6, None]
    assert Tally.of([0, 1], [0.0, 0.0]).part(0) is None


def test_of_equal_groups_the_first_seen_wins_and_its_best_speaks():
    tally = Tally.of([1, 0, 1, 0], [1.0] * 4)
    assert tally.winner == 1
    assert tally.best([0.1, 0.9, 0.5, 0.9]) == 2


def test_how_sure_the_leader_is():
    assert leader_chance([0]) == pytest.approx(0.75)
    assert leader_chance([0] * 3) == pytest.approx(0.9375)
    assert leader_chance([0] * 4) == pytest.approx(0.96875)
    assert leader_chance([None] * 4) == pytest.approx(0.5)


def test_weights_by_rank_are_those_of_the_published_formula():
    scores, power = [0.2, 0.9, 0.5, 0.7], 0.5
    published = [(4 - rank + 1) ** power for rank in (4, 1, 3, 2)]
    assert borda(scores, power) == pytest.approx([one / 4**power for one in published])


def test_weights_by_rank_depend_on_the_order_alone_and_equal_scores_weigh_the_same():
    assert borda([3.0, 1.0, 2.0], 2.0) == borda([0.9, 0.1, 0.11], 2.0)
    assert borda([0.5, 0.5, 0.1], 1.0) == pytest.approx([1.0, 1.0, 1 / 3])
    assert borda([0.1, 0.7], 0.0) == [1.0, 1.0]
    assert borda([0.1, 0.7], 100.0)[0] < 1e-30
    assert borda([], 1.0) == []
