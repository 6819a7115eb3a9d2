"""Curves over the number of answers, against every way to draw so many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest

from forethought.contracts.comparison import Interval
from forethought.contracts.forecast import Curve
from forethought.evaluation.attempts import ImperfectVerifier
from forethought.evaluation.curves import curve
from forethought.evaluation.draws import Draws, draws
from forethought.evaluation.look_ahead import powers_of_two
from forethought.evaluation.token_rates import TokenRates
from forethought.numerics.intervals import mean_interval
from tests.evaluation.stored import OUTPUT, PROMPT, READ, SCORING, WRITE, candidate, searched

RATES = TokenRates(READ, WRITE, SCORING, 0.0)
ANSWERS = {
    "q0": [
        ("7", 0.3, -3.0),
        ("8", 0.9, -2.0),
        ("7", 0.5, -9.0),
        ("9", 0.1, -4.0),
        ("7", 0.2, -5.0),
    ],
    "q1": [
        ("1", 0.3, -3.0),
        ("2", 0.2, -2.0),
        ("2", 0.6, -1.0),
        ("3", 0.4, -6.0),
        ("1", 0.7, -7.0),
    ],
    "q2": [
        ("5", 0.8, -3.0),
        ("5", 0.1, -2.0),
        ("6", 0.4, -1.0),
        ("6", 0.5, -6.0),
        ("6", 0.7, -7.0),
    ],
}
RIGHT = {"q0": "7", "q1": "1", "q2": "4"}
Answers = Sequence[tuple[str, float, float]]


def check(question: str, answer: str) -> float:
    return float(answer == f"The answer is {RIGHT[question]}")


def small(scorer: str = "self-judge") -> Curve:
    samples = [
        searched(
            question,
            [
                candidate(place, f"The answer is {text}", score=score, log_probability=chance)
                for place, (text, score, chance) in enumerate(answers)
            ],
            scoring=50,
        )
        for question, answers in ANSWERS.items()
    ]
    return curve("r", "t", draws(samples, check, RATES), scorer=scorer)


def enumerated(choose: Callable[[Answers], dict[str, float]], k: int) -> Interval:
    """The mean over questions and subsets of how right the chosen answers are."""
    by_question = []
    for question, answers in ANSWERS.items():
        subsets = list(combinations(answers, k))
        worth = [choose(subset).get(RIGHT[question], 0.0) for subset in subsets]
        by_question.append(round(math.fsum(worth) / len(subsets), 12))
    return mean_interval(by_question, list(ANSWERS))


def voted(answers: Answers) -> dict[str, float]:
    counts = Counter(text for text, *_ in answers)
    leading = [text for text, count in counts.items() if count == max(counts.values())]
    return {text: 1 / len(leading) for text in leading}


def near(found: Interval | None, expected: Interval) -> bool:
    assert found is not None
    return (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_every_choice_is_the_mean_over_all_subsets() -> None:
    found = small()

    assert [row.answers for row in found.reached] == [1, 2, 4, 5]
    assert near(found.random, enumerated(lambda some: {some[0][0]: 1.0}, 1))
    for row in found.reached:
        k = row.answers
        assert near(row.vote, enumerated(voted, k))
        assert near(row.oracle, enumerated(lambda some: {text: 1.0 for text, *_ in some}, k))
        assert near(row.scored, enumerated(lambda some: {max(some, key=lambda a: a[1])[0]: 1.0}, k))
        assert near(row.likely, enumerated(lambda some: {max(some, key=lambda a: a[2])[0]: 1.0}, k))


def test_a_scorer_that_is_the_likelihood_stands_there_once() -> None:
    assert all(row.scored is None and row.likely for row in small("likelihood").reached)


def test_the_prompt_is_paid_once_and_scoring_apart() -> None:
    for row in small().reached:
        assert row.tokens == pytest.approx(PROMPT + row.answers * OUTPUT)
        assert row.flops == pytest.approx(READ * PROMPT + row.answers * WRITE * OUTPUT)
        assert row.scoring_tokens == pytest.approx(10 * row.answers)
        assert row.scoring_flops == pytest.approx(SCORING * 10 * row.answers)


def test_a_question_that_was_asked_twice_pays_its_answers_once() -> None:
    twice = [
        searched("q0", [candidate(0, "x"), candidate(1, "y")], number=number) for number in (0, 1)
    ]

    found = curve("r", "t", draws(twice, check, RATES))

    assert found.answers == 4
    assert [row.tokens for row in found.reached] == [PROMPT + k * OUTPUT for k in (1, 2, 4)]


def population(
    questions: int, answers: int, seed: int, a: float = 0.6, b: float = 1.8
) -> list[Draws]:
    """Questions whose chances are drawn from a beta law."""
    rng = np.random.default_rng(seed)
    samples = [
        searched(
            f"q{number}",
            [
                candidate(place, f"The answer is {int(hit)}", right=float(hit))
                for place, hit in enumerate(rng.random(answers) < rng.beta(a, b))
            ],
        )
        for number in range(questions)
    ]
    return draws(samples, check, RATES)


def test_what_is_foreseen_is_what_more_answers_reach() -> None:
    law = curve("r", "t", population(400, 16, seed=0)).law

    assert law is not None
    assert [row.answers for row in law.ahead] == [32, 64, 160]
    for row in law.ahead:
        # 1 - E[(1 - p)^k] of a beta law; the power law follows it closely.
        missed = math.lgamma(1.8 + row.answers) + math.lgamma(2.4)
        missed -= math.lgamma(1.8) + math.lgamma(2.4 + row.answers)
        assert row.oracle.value == pytest.approx(1 - math.exp(missed), abs=0.04)
        assert row.oracle.low < row.oracle.value < row.oracle.high
        assert row.tokens == pytest.approx(PROMPT + row.answers * OUTPUT)
    assert law.misfit < 0.02


@pytest.mark.parametrize(("questions", "answers"), [(7, 16), (40, 3)])
def test_from_too_few_nothing_is_foreseen(questions: int, answers: int) -> None:
    found = curve("r", "t", population(questions, answers, seed=1))

    assert found.law is None
    assert f"{answers} answers to {questions} questions are too few" in found.no_law


@pytest.mark.parametrize(("a", "b", "said"), [(1e-9, 1, "no answer"), (1, 1e-9, "every answer")])
def test_where_all_are_alike_nothing_is_foreseen(a: float, b: float, said: str) -> None:
    found = curve("r", "t", population(20, 4, seed=2, a=a, b=b))

    assert found.law is None
    assert found.no_law.startswith(said)


def test_answers_that_are_right_in_part_have_curves_but_no_law_and_no_verifier() -> None:
    samples = [
        searched(f"q{n}", [candidate(0, "x", right=0.5), candidate(1, "y", right=1.0)] * 2)
        for n in range(9)
    ]

    found = curve("r", "t", draws(samples, check, RATES), verifier=ImperfectVerifier(0.1))

    assert [row.oracle.value for row in found.reached] == pytest.approx([0.75, 11 / 12, 1.0])
    assert found.law is None
    assert "in part" in found.no_law
    assert found.attempts is None
    assert "in part" in found.no_attempts


def test_numbers_of_answers_double_up_to_all() -> None:
    assert powers_of_two(1) == [1]
    assert powers_of_two(6) == [1, 2, 4, 6]
    assert powers_of_two(8) == [1, 2, 4, 8]
