"""Questions by difficulty, with what suits each kind, by hand."""

from __future__ import annotations

import pytest

from forethought.evaluation.difficulty import difficulty
from forethought.evaluation.draws import Draws, draws
from forethought.evaluation.token_rates import TokenRates
from tests.evaluation.stored import candidate, searched


def drawn(right: list[int]) -> list[Draws]:
    """A question for each number, with so many of four answers right."""
    samples = [
        searched(f"q{n:02}", [candidate(k, "x", right=float(k < count)) for k in range(4)])
        for n, count in enumerate(right)
    ]
    return draws(samples, lambda question, answer: 0.0, TokenRates(1.0, 1.0, 1.0, 1.0))


EASY_AND_HARD = drawn([4, 0, 3, 1, 4, 0, 3, 1])


def scores(easy: float, hard: float) -> dict[str, float]:
    return {one.question: easy if sum(one.right) > 2 else hard for one in EASY_AND_HARD}


def test_each_kind_has_the_recipe_that_does_best_on_it() -> None:
    known = {"a": scores(1.0, 0.0), "b": scores(0.75, 0.5), "c": scores(0.0, 0.25)}

    found = difficulty("t", "a", EASY_AND_HARD, known)

    assert found is not None
    assert [(one.number, one.questions, one.best, one.score) for one in found.bins] == [
        (1, 4, "a", 1.0), (2, 4, "b", 0.5),
    ]  # fmt: skip
    assert [one.success for one in found.bins] == [7 / 8, 1 / 8]
    assert (found.fixed, found.fixed_score) == ("b", 0.625)
    # Scores are alike within a kind, so that other questions of it choose the same.
    assert found.adapted == pytest.approx(0.75)


def test_a_recipe_that_lacks_a_question_is_left_out() -> None:
    partial = scores(1.0, 1.0)
    del partial["q03"]

    found = difficulty("t", "a", EASY_AND_HARD, {"a": scores(0.5, 0.5), "b": partial})

    assert found is not None
    assert found.recipes == ("a",)
    assert found.adapted is None


def test_seven_questions_are_too_few_for_two_kinds_and_twenty_enough_for_five() -> None:
    few, many = drawn([4, 0] * 3 + [1]), drawn([0, 1, 2, 3, 4] * 4)

    assert difficulty("t", "a", few, {"a": {one.question: 0.0 for one in few}}) is None
    found = difficulty("t", "a", many, {"a": {one.question: 0.0 for one in many}})
    assert found is not None
    assert [one.success for one in found.bins] == [1.0, 0.75, 0.5, 0.25, 0.0]
