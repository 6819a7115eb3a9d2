"""What a stepwise search ends with."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from forethought.contracts.search import Candidate
from forethought.methods.search._choice import AnswerOption, chosen
from tests.methods.search.by_hand import Hand


def option(path, text, weight, score, finish="stop"):
    return AnswerOption(
        Candidate(path, steps=(text,), tokens=len(text), finish=finish), weight, score
    )


def choice(options, pick="vote", seed=0, **settings):
    search = chosen(options, pick, np.random.default_rng(seed), **settings)
    return Hand(None).run(search)


FOUR = [
    option((0,), "x", 0.2, 0.9),
    option((1,), "y", 0.3, 0.4),
    option((2,), "z", 0.1, 0.5),
    option((3,), "y", 0.4, 0.6),
]


def test_a_vote_takes_the_best_score_of_the_heaviest_group():
    found = choice(FOUR)
    assert found.best.path == (3,)
    assert found.confidence == pytest.approx(0.7)
    assert found.weights == (0.2, 0.3, 0.1, 0.4)


def test_the_best_score_is_as_sure_as_the_weight_that_agrees_with_it():
    found = choice(FOUR, "best")
    assert found.best.text == "x"
    assert found.confidence == pytest.approx(0.2)


def test_a_draw_is_made_by_weight():
    drawn = Counter(choice(FOUR, "draw", seed).best.path[0] for seed in range(1500))
    shares = [drawn[place] / 1500 for place in range(4)]
    # Four standard errors of a share of 0.4 are 0.05.
    assert shares == pytest.approx([0.2, 0.3, 0.1, 0.4], abs=0.05)
    assert choice(FOUR, "draw", drawn=FOUR[2].candidate).best == FOUR[2].candidate


def test_one_that_stands_twice_counts_for_the_sum():
    found = choice([*FOUR, option((0,), "x", 0.6, 0.9)])
    assert found.best.path == (0,)
    assert found.weights == pytest.approx((0.8, 0.3, 0.1, 0.4))


def test_whole_answers_come_before_heavier_ones_that_were_cut():
    found = choice([*FOUR, option((4,), "z", 9.0, 1.0, "budget")], "best")
    assert found.best.text == "x"
    assert [one.path for one in found.pruned] == [(4,)]
    assert len(found.considered) == 4


def test_answers_at_their_greatest_length_are_whole():
    assert choice([option((0,), "x", 1.0, 0.1, "length"), FOUR[1]]).best.text == "x"


def test_of_beginnings_the_best_score_is_taken_then_the_longest():
    cut = [
        option((0,), "aaaaa", 0.5, 0.3, "budget"),
        option((1,), "b", 0.1, 0.8, ""),
        option((2,), "cc", 0.1, 0.8, "budget"),
    ]
    found = choice(cut)
    assert (found.best.path, found.best.finish) == ((2,), "budget")
    assert {one.finish for one in found.considered} == {"budget"}
    assert found.confidence is None
    assert choice(cut[:2]).best.path == (1,)


def test_where_nothing_weighs_anything_all_weigh_the_same():
    none = [option((place,), text, 0.0, 0.0) for place, text in enumerate("xyy")]
    found = choice(none)
    assert found.best.text == "y"
    assert found.confidence == pytest.approx(2 / 3)


def test_one_answer_alone_agrees_with_nobody():
    assert choice(FOUR[:1]).confidence is None


def test_what_an_answer_grew_from_was_not_given_up():
    left = [Candidate((0,)), Candidate((7,)), Candidate((7,)), Candidate((3, 1)), Candidate()]
    assert choice(FOUR, pruned=left).pruned == (left[1], left[3])
