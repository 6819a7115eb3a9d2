"""Steps and expressions that make 24, against trying everything."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import pytest

from tests.tasks.steps.solved import (
    asked,
    makings,
    named,
    numbers,
    put,
)


def test_a_step_of_24_is_promising_exactly_if_24_can_still_be_made():
    task, questions = asked("game-24(count=4)")
    seen = set()
    for question in questions:
        left = numbers(put(question))[-4:]
        for a, b, *rest in permutations(left):
            for sign, made in (("+", a + b), ("-", a - b), ("*", a * b), ("/", Fraction(a, b))):
                after = [made, *rest]
                step = f"{a} {sign} {b} = {made} (left: {' '.join(map(str, after))})"
                hopeful = any(makings(named(after)))
                assert task.promise(question, f"{step}\n") == hopeful
                seen.add(hopeful)

    assert seen == {True, False}


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("(10 - 4) * (13 - 9)", 1),
        ("(13-9)*(10-4) = 24", 1),
        ("((10 \u2212 4)) × (13 \u2212 9).", 1),
        ("(10 - 4) * (13 - 9) = 25", 0),
        ("(10 - 4) * 4", 0),
        ("24", 0),
        ("(10 - 4) * (13 - 9", 0),
        ("(10 - 4) * (13 - 9) * 1", 0),
        ("(10 - 4) (13 - 9)", 0),
        ("10 - 4 * 13 - 9", 0),
        ("(10 - 4) ** (13 - 9)", 0),
        ("13 + 10 + 9 / (4 - 4)", 0),
        ("x", 0),
    ],
)
def test_expressions_are_judged_by_their_numbers_and_their_value(answer, right):
    task, (question, *_) = asked("game-24")
    known = replace(question, data={"numbers": [4, 9, 10, 13]})

    assert task.check(known, f"Answer: {answer}") == right
    assert task.promise(known, f"Answer: {answer}\n") == right


def test_deep_nests_and_divisions_by_nothing_are_wrong():
    task, (question, *_) = asked("game-24")
    nest = f"{'(' * 5000}(10 - 4) * (13 - 9){')' * 5000}"
    known = replace(question, data={"numbers": [4, 9, 10, 13]})
    twice = replace(question, data={"numbers": [4, 4, 9, 13]})

    assert task.check(known, f"Answer: {nest}") == 0
    assert task.check(twice, "Answer: 9 / (4 - 4) + 13") == 0


def test_the_same_numbers_in_another_order_are_the_same_question():
    _, questions = asked("game-24(largest=6, count=60)")
    four = [numbers(put(question))[-4:] for question in questions]

    assert all(one == sorted(one) for one in four)
    assert len({tuple(one) for one in four}) == 60


def test_24_is_made_through_fractions_exactly():
    task, (question, *_) = asked("game-24")
    known = replace(question, data={"numbers": [3, 3, 8, 8]})
    lines = next(makings(named((3, 3, 8, 8))))

    assert "8/3" in "".join(lines)
    assert task.promise(known, "\n".join(lines)) == task.check(known, lines[-1]) == 1
    assert task.check(known, "Answer: 8 / (8 - 3 / 3)") == 0
    assert task.check(known, "Answer: 8 ÷ (3 \u2212 8 ÷ 3)") == 1


@pytest.mark.parametrize(
    ("begun", "hopeful"),
    [
        ("(10 - 4) * (1", 1),
        ("1", 1),
        ("(10 - 4) * (10", 0),
        ("5", 0),
        ("1 + 4", 0),
        ("10 - x", 0),
        ("4 + 9 + 10 + 13", 0),
    ],
)
def test_an_unfinished_expression_is_judged_by_its_numbers(begun, hopeful):
    task, (question, *_) = asked("game-24")
    known = replace(question, data={"numbers": [4, 9, 10, 13]})

    assert task.promise(known, f"Answer: {begun}") == hopeful
