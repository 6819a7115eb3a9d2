"""Independent answers, found in what is kept of runs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from forethought.contracts.questions import Sample
from forethought.evaluation.draws import Choices, Draws, choices, draws, draws_alike
from forethought.evaluation.token_rates import TokenRates
from tests.evaluation.stored import OUTPUT, PROMPT, candidate, plain, searched


def check(question: str, answer: str) -> float:
    return float(answer == "right")


def drawn(*samples: Sample) -> list[Draws]:
    return draws(samples, check, TokenRates(2.0, 3.0, 5.0, 1.0))


def changed(sample: Sample, **parts: Any) -> Sample:
    return replace(sample, run={**sample.run, **parts})


def test_a_search_gives_all_of_its_answers() -> None:
    answers = [
        candidate(0, "right", log_probability=-2.0, score=0.7),
        candidate(1, "wrong", log_probability=-4.0, score=0.2),
        candidate(2, "right", log_probability=-8.0, score=None, pruned=True),
    ]

    (found,) = drawn(searched("q", answers, scoring=6))

    assert found.right == (1.0, 0.0, 1.0)
    assert found.groups == [0, 1, 0]
    assert found.likelihood == [-0.2, -0.4, -0.8]
    assert found.ranks == [0.7, 0.2, -math.inf]
    assert (found.tokens.once, found.tokens.answers, found.tokens.scoring) == (PROMPT, 30, 6)
    assert not found.cut


def test_samples_of_one_question_are_draws_together() -> None:
    samples = [
        plain("q", text, float(text == "right"), number=number, temperature=0.8)
        for number, text in enumerate(["right", "wrong", "right"])
    ]

    (found,) = drawn(*samples)

    assert (found.right, found.runs, found.count) == ((1.0, 0.0, 1.0), 3, 3)
    assert found.likelihood is None
    assert found.ranks is None
    assert (found.tokens.once, found.tokens.answers) == (PROMPT, OUTPUT)


def test_a_search_that_was_run_twice_gives_the_answers_of_both() -> None:
    twice = [
        searched("q", [candidate(0, "right"), candidate(1, text)], number=number)
        for number, text in enumerate(["right", "wrong"])
    ]

    (found,) = drawn(*twice)

    assert found.right == (1.0, 1.0, 1.0, 0.0)
    assert (found.runs, found.tokens.answers) == (2, 20)


def test_how_right_an_answer_is_need_not_be_judged_again() -> None:
    def refuse(question: str, answer: str) -> float:
        raise AssertionError(answer)

    sample = searched("q", [candidate(0, "wrong", right=1.0), candidate(1, "right", right=0.0)])

    (found,) = draws([sample], refuse, TokenRates(1.0, 1.0, 1.0, 1.0))

    assert found.right == (1.0, 0.0)


def test_what_is_written_on_the_way_is_no_answer() -> None:
    aside = candidate(1, "a critique", question="What is wrong?")

    (found,) = drawn(searched("q", [candidate(0, "right"), aside]))

    assert found.count == 1


def test_an_answer_that_a_budget_cut_is_told() -> None:
    (found,) = drawn(searched("q", [candidate(0, "right"), candidate(1, "ri", finish="budget")]))

    assert found.cut


@pytest.mark.parametrize(
    ("recipe", "settings", "alike"),
    [
        ("smollm2", {}, False),
        ("smollm2", {"temperature": 0.5}, True),
        ("smollm2@majority-vote(n=4)", {}, True),
        ("smollm2@majority-vote(n=4)", {"temperature": 0.0}, False),
        ("smollm2@majority-vote(n=4, confident=0.9)", {}, False),
        ("smollm2@best-of-n(n=4)@likelihood", {}, True),
        ("smollm2@best-of-n(n=4, enough=0.9)@likelihood", {}, False),
        ("smollm2@rpc", {}, True),
        ("smollm2@temperature-vote", {}, False),
        ("smollm2@beam@likelihood", {}, False),
    ],
)
def test_only_draws_whose_number_depends_on_nothing_are_draws(
    recipe: str, settings: dict[str, float], alike: bool
) -> None:
    assert draws_alike({"recipe": recipe, "settings": settings}) == alike


def test_what_a_search_chose_among_leaves_room() -> None:
    answers = [
        candidate(0, "wrong"),
        candidate(1, "right"),
        candidate(2, "wrong"),
        candidate(3, "right", pruned=True),
    ]

    (found,) = choices([searched("q", answers)], check)

    assert found == Choices((0.0, 1.0, 0.0), (OUTPUT,) * 3, drawn=4)


def test_revised_answers_are_chosen_among_though_their_prompt_is_another() -> None:
    answers = [candidate(0, "wrong"), candidate(0, "right", question="Revise it.")]

    (found,) = choices([searched("q", answers, recipe="smollm2@self-refine")], check)

    assert found.right == (0.0, 1.0)


def test_repeated_plain_answers_to_a_question_are_chosen_among() -> None:
    samples = [
        plain(question, "x", score, number=number, temperature=0.7)
        for question, scores in {"a": (0.0, 1.0, 1.0), "b": (0.5,)}.items()
        for number, score in enumerate(scores)
    ]

    assert choices(samples, check) == [
        Choices((0.0, 1.0, 1.0), (OUTPUT,) * 3, 3),
        Choices((0.5,), (OUTPUT,), 1),
    ]
