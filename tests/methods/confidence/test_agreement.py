from __future__ import annotations

import pytest

from forethought.contracts.search import Group, Write
from forethought.methods.confidence.agreement import Agreement
from tests.methods.confidence.saying import ASKED, answer, said

FOUR = [answer("b", 1), answer("a", 2), answer("a", 3)]


def test_agreement_is_the_share_of_samples_in_the_answers_group():
    value, (ask,) = said(Agreement(), answer("a"), FOUR, [[0, 1, 0, 0]])
    assert value == 3 / 4
    assert ask == Group((answer("a"), *FOUR))


def test_an_answer_that_states_nothing_agrees_with_none():
    assert said(Agreement(), answer(""), FOUR, [[None, 0, None, 1]])[0] == 0.0


@pytest.mark.parametrize("n", [1, 2, 4])
def test_missing_samples_are_drawn_at_temperature_1(n):
    drawn = [answer("a", 9 + place) for place in range(n - 1)]
    replies = [drawn, [0] * n] if drawn else [[0]]
    value, asks = said(Agreement(n=n), answer("a"), [], replies)
    writes = [ask for ask in asks if isinstance(ask, Write)]
    assert value == 1.0
    assert [(len(ask.parents), ask.temperature) for ask in writes] == [(n - 1, 1.0)] * (n > 1)
    assert all(one.asked == ASKED.asked for ask in writes for one in ask.parents)


def test_further_samples_of_a_search_count_too():
    many = [answer("a", place) for place in range(1, 8)]
    value, _ = said(Agreement(n=4), answer("a"), many, [[0, 0, 0, 0, 1, 1, 1, 1]])
    assert value == 1 / 2


def test_candidates_of_a_search_are_scored_among_all_of_them():
    generator = Agreement(n=2).score(ASKED, [answer("a"), answer("b", 1)])
    next(generator)
    generator.send([0, 1])
    with pytest.raises(StopIteration) as stopped:
        generator.send([0, 1])
    assert stopped.value.value == [0.5, 0.5]
