"""The answers that recipes choose among: numbers worked out by hand, and by plain loops."""

from __future__ import annotations

import math
import random

import pytest

from forethought import catalogue
from forethought.contracts.comparison import Chances
from forethought.contracts.questions import Sample
from forethought.evaluation.answer_statistics import chances, drawn_answers
from forethought.evaluation.draws import Choices
from forethought.evaluation.search_analysis import SearchAnalysis
from forethought.evaluation.statistics import compared
from forethought.recipes.recipe import Recipe
from tests.evaluation.stored import candidate, plain, searched

FOUND = [
    [Choices((1.0, 0.0), (10, 14), 3), Choices((0.0,), (30,), 1)],
    [Choices((1.0, 1.0, 0.25), (4, 6, 8), 3)],
]
ADAPTIVE = "smollm2@adaptive(n=4)"


def test_scores_of_other_choices_worked_out_by_hand() -> None:
    assert chances(FOUND) == Chances(
        random=(0.25 + 0.75) / 2, oracle=(0.5 + 1) / 2, worst=(0 + 0.25) / 2
    )


def test_numbers_and_tokens_worked_out_by_hand() -> None:
    found = drawn_answers(FOUND, 4)

    assert found
    assert (found.drawn, found.most) == ((2 + 3) / 2, 4)
    # The deviation of 10 and 14 is the root of 8, that of 4, 6 and 8 is 2.
    assert found.spread == pytest.approx((math.sqrt(8) + 2) / 2)
    assert found.right == pytest.approx((10 + 4 + 6 + 0.25 * 8) / 3.25)
    assert found.wrong == pytest.approx((14 + 30 + 0.75 * 8) / 2.75)


def test_without_a_choice_there_is_nothing_to_tell() -> None:
    single, none = Choices((1.0,), (5,), 1), Choices((), (), 0)

    for found in ([], [[single]], [[FOUND[0][0], none]]):
        assert chances(found) is None
        assert drawn_answers(found, 0) is None


def test_answers_that_are_all_right_leave_no_wrong_tokens() -> None:
    found = drawn_answers([[Choices((1.0, 1.0), (3, 5), 2)]], 0)

    assert found
    assert (found.right, math.isnan(found.wrong)) == (4, True)


def test_worst_random_and_best_keep_their_order() -> None:
    chance = random.Random(1)
    tasks = [
        [
            Choices(tuple(chance.random() for _ in range(n)), (1,) * n, n)
            for n in chance.choices(range(1, 6), k=20)
        ]
        for _ in range(3)
    ]
    found = chances(tasks)
    best = [sum(max(one.right) for one in task) / len(task) for task in tasks]

    assert found
    assert found.worst < found.random < found.oracle
    assert found.oracle == pytest.approx(sum(best) / 3)


@pytest.mark.parametrize(
    ("strategy", "most"),
    [
        ("adaptive(n=9)", 9),
        ("adaptive(n=9, enough=none)", 0),
        ("temperature-vote(n=40)", 40),
        ("temperature-vote(n=40, window=40)", 0),
        ("majority-vote(n=8)", 0),
        ("majority-vote(n=8, confident=0.95)", 8),
        ("best-of-n", 0),
        ("greedy", 0),
    ],
)
def test_strategies_state_the_answers_without_their_early_stop(strategy: str, most: int) -> None:
    assert catalogue.build(strategy, "strategies").most_answers == most


def search(question: str, texts: str, pruned: int = 0) -> Sample:
    answers = [
        candidate(n, text, tokens=10 + n, pruned=n >= len(texts) - pruned)
        for n, text in enumerate(texts)
    ]
    return searched(question, answers, recipe=ADAPTIVE, score=float(texts[0] == "r"))


def test_a_comparison_tells_how_many_answers_an_early_stop_spared() -> None:
    samples = [search("a", "r"), search("b", "wrr", pruned=1)]
    plains = [plain("a", "x", 0.0), plain("b", "x", 0.0)]
    recipes = {name: Recipe.parse(name) for name in ("smollm2", ADAPTIVE)}
    analysis = SearchAnalysis.of(
        recipes, [*plains, *samples], {"addition": lambda _, text: float(text == "r")}
    )

    exact, found = analysis.extended(
        compared(analysis.all_samples, list(recipes), ["addition"])
    ).standings

    assert (exact.chances, exact.drawn) == (None, None)
    assert found.chances == Chances(random=0.75, oracle=1.0, worst=0.5)
    assert found.drawn
    assert (found.drawn.drawn, found.drawn.most) == (2.0, 4)
    assert found.drawn.spread == pytest.approx(math.sqrt(0.5))
    assert found.drawn.right == (10 + 11) / 2
