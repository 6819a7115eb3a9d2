from __future__ import annotations

import pytest

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.methods.scoring.checker import Checker
from tests.driver.searches import coin, searched
from tests.methods.scoring.toys import Best, Letters, StepLetters, candidate, scored


def test_answers_get_the_points_of_the_task_in_order():
    answers = [candidate(text) for text in ("aaa", "bbb", "ab", "")]
    assert scored(Checker().on_task(Letters()), answers) == ([1.0, 0.0, 0.25, 0.0], [])


@pytest.mark.parametrize("finish", ["stop", "length", "budget"])
def test_what_is_done_is_judged_as_an_answer(finish):
    # As a beginning it could still become right.
    assert scored(Checker().on_task(StepLetters()), [candidate("ab", finish=finish)])[0] == [0.25]


def test_beginnings_are_judged_by_what_they_can_become():
    begun = [candidate("aa", finish=""), candidate("ab", finish=""), candidate(finish="")]
    assert scored(Checker().on_task(StepLetters()), begun)[0] == [1.0, 0.0, 1.0]


def test_beginnings_in_a_task_without_steps_are_an_error_and_no_zero():
    scorer = Checker().on_task(Letters())
    with pytest.raises(UsageError, match="only whole answers"):
        scored(scorer, [candidate("aaa"), candidate("a", finish="")])


def test_without_a_task_it_is_refused():
    with pytest.raises(UsageError, match=r"checker .* belongs to none"):
        Checker().on_task(None)
    with pytest.raises(UsageError, match="checker"):
        scored(Checker(), [candidate("aaa")])


def test_the_best_of_n_is_right_wherever_one_is():
    scorer, right, runs, n, chance = Checker().on_task(Letters()), 0, 400, 3, 0.3
    for seed in range(runs):
        found = searched(Best(n), coin(chance), scorer=scorer, seed=seed).found
        assert (found.best.text == "aaa") == any(one.text == "aaa" for one in found.considered)
        right += found.best.text == "aaa"
    # Coverage; three standard errors of 400 runs.
    assert right / runs == pytest.approx(1 - (1 - chance) ** n, abs=0.072)


def test_it_is_found_by_its_name():
    assert catalogue.build("checker", "scorers") == Checker()
