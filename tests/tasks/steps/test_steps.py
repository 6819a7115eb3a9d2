"""Generated questions are solved here anew, from their text and by other means than the task's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate
from forethought.tasks.same_answers import SameAnswers

NAMES = [entry.name for entry in catalogue.families("tasks")["steps"]]


def asked(spelling: str) -> tuple[Any, list[Question]]:
    task = catalogue.build(spelling, "tasks")
    return task, list(task.questions(len))


def put(question: Question) -> str:
    """What is asked, without what is told of the form."""
    return question.text.rpartition("\n\nNow ")[2]


def example(question: Question) -> tuple[str, str]:
    """The question of the worked example, and its answer."""
    told = question.text.partition("\n\nExample: ")[2].partition("\n\nNow ")[0]
    problem, _, answer = told.partition("\n")
    return problem, answer


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d+", text)]


def sum_of(text: str) -> list[str]:
    first, second = numbers(text)
    lines, carry = [], 0
    for place in range(len(str(first))):
        one, other = first // 10**place % 10, second // 10**place % 10
        below = 10**place
        assert carry == (first % below + second % below) // below
        whole = one + other + carry
        out = (first + second) // 10**place % 10
        lines.append(f"{one} + {other} + {carry} = {whole}, write {out}, carry {whole > 9:d}")
        carry = int(whole > 9)
    return [*lines, f"Answer: {first + second}"]


def product_of(text: str) -> list[str]:
    first, second = numbers(text)
    lines = []
    for place, digit in enumerate(reversed(str(second))):
        part = int(digit + "0" * place)
        so_far = first * (second % 10 ** (place + 1))
        lines.append(f"{first} * {part} = {first * part}, total {so_far}")
    return [*lines, f"Answer: {first * second}"]


def still_open(row: str) -> str:
    """What is left of brackets when all that match are crossed out."""
    while (shorter := re.sub(r"\(\)|\[\]|\{\}|<>", "", row)) != row:
        row = shorter
    return row


def reading_of(text: str) -> list[str]:
    row = re.sub(r"[^][(){}<>]", "", text)
    lines = [
        f"read {bracket} open {' '.join(still_open(row[: place + 1])) or 'none'}"
        for place, bracket in enumerate(row)
    ]
    closing = still_open(row)[::-1].translate(str.maketrans("([{<", ")]}>"))
    return [*lines, f"Answer: {' '.join(closing) or 'none'}"]


def graph_of(text: str) -> tuple[list[list[int]], int, int]:
    arrows = [numbers(found) for found in re.findall(r"\d+ -> \d+", text)]
    start, goal = numbers(text.partition("The start")[2])
    return arrows, start, goal


def ways(arrows: list[list[int]], start: int, goal: int) -> list[list[int]]:
    if start == goal:
        return [[goal]]
    onward = [other for one, other in arrows if one == start]
    return [[start, *rest] for point in onward for rest in ways(arrows, point, goal)]


def way_of(text: str) -> list[str]:
    (way,) = ways(*graph_of(text))
    steps = [f"{one} -> {other}" for one, other in pairwise(way)]
    return [*steps, f"Answer: {' -> '.join(map(str, way))}"]


def makings(left: list[tuple[Fraction, str]], steps: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Steps and answers of all ways to 24, each number with the expression that made it."""
    if len(left) == 1:
        if left[0][0] == 24:
            yield [*steps, f"Answer: {left[0][1]}"]
        return
    for (a, said_a), (b, said_b), *rest in permutations(left):
        for sign in "+-*/" if b else "+-*":
            made = {"+": a + b, "-": a - b, "*": a * b}.get(sign) if sign != "/" else a / b
            after = [*rest, (made, f"({said_a} {sign} {said_b})")]
            step = f"{a} {sign} {b} = {made} (left: {' '.join(str(one) for one, _ in after)})"
            yield from makings(after, (*steps, step))


def game_of(text: str) -> list[str]:
    return next(makings(named(numbers(text)[-4:])))


def named(left: Iterable[int | Fraction]) -> list[tuple[Fraction, str]]:
    return [(Fraction(one), str(one)) for one in left]


def formula_of(text: str) -> tuple[int, list[list[tuple[int, bool]]]]:
    told = [re.findall(r"(not )?x(\d+)", clause) for clause in re.findall(r"\((.*?)\)", text)]
    clauses = [[(int(number), not negated) for negated, number in clause] for clause in told]
    return max(numbers(text.partition("The clauses")[0])), clauses


def models(text: str) -> list[dict[int, bool]]:
    count, clauses = formula_of(text)
    every = [dict(enumerate(values, 1)) for values in product([True, False], repeat=count)]
    return [
        model
        for model in every
        if all(any(model[one] == value for one, value in clause) for clause in clauses)
    ]


def values_of(text: str) -> list[str]:
    model = models(text)[-1]
    steps = [f"x{one} = {str(value).lower()}" for one, value in reversed(model.items())]
    return [*steps, f"Answer: {', '.join(reversed(steps))}"]


SOLVE = {
    "addition": sum_of,
    "multiplication": product_of,
    "brackets": reading_of,
    "graph-path": way_of,
    "game-24": game_of,
    "small-sat": values_of,
}
HARDER = {
    "addition": "digits=20",
    "multiplication": "digits=6",
    "brackets": "length=30, depth=9",
    "graph-path": "nodes=60, depth=9",
    "game-24": "largest=40",
    "small-sat": "variables=9, clauses=38",
}


def test_every_task_is_solved_here() -> None:
    assert sorted(SOLVE) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hard", [False, True])
def test_every_beginning_of_a_solution_is_promising_and_its_end_right(name, hard):
    task, questions = asked(f"{name}({HARDER[name]})" if hard else name)

    for question in questions[:4]:
        text = "\n".join(SOLVE[name](put(question)))
        for end in range(0, len(text) + 1, 1 if len(text) < 150 else 7):
            assert task.promise(question, text[:end]) == 1, text[:end]
        assert task.promise(question, f"{text}\n") == 1
        assert task.check(question, text) == task.check(question, text.splitlines()[-1]) == 1
        assert task.check(question, "\n".join(text.splitlines()[:-1])) == 0
        assert len(text) < 3 * task.answer_tokens


@pytest.mark.parametrize("name", NAMES)
def test_no_end_mends_a_wrong_step(name):
    task, questions = asked(name)

    for question in questions[:3]:
        lines = SOLVE[name](put(question))
        for place, line in enumerate(lines):
            for wrong in (*_spoilt(line), "Let me think.", "1 + 1 = 2"):
                text = "\n".join([*lines[:place], wrong])
                ended = "\n".join([*lines[:place], wrong, *lines[place:]])
                assert task.promise(question, f"{text}\n") == 0, text
                assert task.promise(question, ended) == 0, text
        assert task.check(question, "\n".join([*lines, "Answer: 5"])) == 0


def _spoilt(line: str) -> list[str]:
    """A step or an answer with one number, value or bracket more than is right."""
    if "true" in line:
        return [f"{line} x1", line.replace("true", "perhaps", 1)]
    return [line + "7", line + " (", line + ")", f"7{line}"]


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_step_is_seen_before_its_line_ends(name):
    task, (question, *_) = asked(name)
    lines = SOLVE[name](put(question))

    assert task.promise(question, "Sure") == 0
    assert task.promise(question, f"{lines[0]} and") == 0
    assert task.promise(question, f"then {lines[0].partition(' ')[2]}") == 0
    assert task.promise(question, f"{lines[0]}\nfirst") == 0
    assert task.promise(question, f"{lines[0]}\nAnswer: 9 9 9 9 9 9 9") == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_worked_example_is_right_itself(name):
    task, (question, *_) = asked(name)
    problem, answer = example(question)
    same = replace(question, data=_data(name, problem))

    assert task.promise(same, answer) == task.check(same, answer) == 1
    assert task.check(same, answer + "1") == 0
    assert len(SOLVE[name](problem)) == len(answer.splitlines())
    assert put(question) not in example(question)[0]


def _data(name: str, problem: str) -> dict[str, Any]:
    if name == "brackets":
        return {"brackets": problem.replace(" ", "")}
    if name == "graph-path":
        arrows, start, goal = graph_of(problem)
        return {"arrows": arrows, "ends": [start, goal]}
    if name == "small-sat":
        count, clauses = formula_of(problem)
        signed = [[one if value else -one for one, value in clause] for clause in clauses]
        return {"variables": count, "clauses": signed}
    return {"numbers": numbers(problem)}


@pytest.mark.parametrize("name", NAMES)
def test_more_questions_keep_the_first_ones_and_none_comes_twice(name):
    _, few = asked(f"{name}(count=20)")
    _, many = asked(f"{name}(count=60)")
    _, other = asked(f"{name}(count=20, seed=1)")

    assert many[:20] == few
    assert len({question.identifier for question in many}) == 60
    assert len({question.text for question in many}) == 60
    assert {question.text for question in few} != {question.text for question in other}


@pytest.mark.parametrize("name", NAMES)
def test_what_the_checker_needs_outlives_json(name):
    task, (question, *_) = asked(name)
    again = replace(question, data=json.loads(json.dumps(dict(question.data))))
    text = "\n".join(SOLVE[name](put(question)))

    assert again == question
    assert task.check(again, text) == task.promise(again, text) == 1


@pytest.mark.parametrize("name", NAMES)
def test_looks_do_not_matter(name):
    task, (question, *_) = asked(name)
    lines = SOLVE[name](put(question))
    spaced = "\r\n\n".join(f"  {line.upper()}  " for line in lines)
    signs = spaced.translate(str.maketrans({"*": "×", "/": "÷"}))

    assert task.promise(question, spaced) == task.promise(question, f"{signs}\n") == 1
    assert task.check(question, spaced) == task.check(question, signs) == 1
    assert task.check(question, f"Answer: nothing\n**{lines[-1]}**") == 1
    assert task.check(question, f"Answer: ${lines[-1].removeprefix('Answer: ')}$.") == 1
    assert task.check(question, f"{lines[-1]}\nAnswer: nothing") == 0
    assert task.check(question, lines[-1].removeprefix("Answer: ")) == 0


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=50)
@given(text=st.text(st.sampled_from("0123456789 ()[]{}<>+-*/=.,x\nAnswer:truefals²٣→\x00\r")))
def test_whatever_is_written_is_judged(name, text):
    task, (question, *_) = asked(f"{name}(count=1)")

    for answer in (text, f"Answer: {text}", f"{SOLVE[name](put(question))[0]}\n{text}"):
        assert task.check(question, answer) in (0, 1)
        assert task.promise(question, answer) in (0, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("junk", ["9" * 5000, "(" * 5000, "x1 = true " * 2000, "1 -> " * 5000])
def test_endless_answers_are_judged(name, junk):
    task, (question, *_) = asked(f"{name}(count=1)")

    assert task.check(question, f"Answer: {junk}") == task.promise(question, junk + "\n") == 0
    assert task.promise(question, f"Answer: {junk}\n") == 0


@pytest.mark.parametrize("name", NAMES)
def test_questions_are_judged_on_any_thread(name):
    task, questions = asked(f"{name}(count=8)")
    answers = ["\n".join(SOLVE[name](put(question))) for question in questions]

    with ThreadPoolExecutor(4) as pool:
        judged = pool.map(task.check, questions * 2, answers + ["Answer: 1"] * 8)
        promising = pool.map(task.promise, questions * 2, answers + ["Answer: 1\n"] * 8)

    assert list(judged) == list(promising) == [1.0] * 8 + [0.0] * 8


@pytest.mark.parametrize("name", NAMES)
def test_a_vote_tells_right_answers_from_wrong_ones(name):
    _, (question, other, *_) = asked(name)
    texts = ["\n".join(SOLVE[name](put(one))) for one in (question, other, question)]

    groups = SameAnswers().group([Candidate(steps=(text,), finish="stop") for text in texts])

    # All answers that make 24 come to the same.
    assert groups == ([0, 0, 0] if name == "game-24" else [0, 1, 0])


@pytest.mark.parametrize(
    ("spelling", "problem"),
    [
        ("addition(digits=1, count=82)", "count=82 is too many: 81 different questions"),
        ("graph-path(nodes=4, depth=4)", "nodes=4 is too few for a way of depth=4"),
        ("small-sat(variables=3, clauses=8)", "clauses=8 is too many for variables=3"),
        ("game-24(largest=2)", "largest=2 must be 3 to 100"),
        ("brackets(length=0)", "length=0 must be 1 to 1,000"),
    ],
)
def test_what_cannot_be_made_is_refused(spelling, problem):
    with pytest.raises(BadParameterError, match=re.escape(problem)):
        asked(spelling)


def test_the_least_settings_make_questions():
    spellings = (
        "addition(digits=1, count=50)",
        "multiplication(digits=1, count=50)",
        "brackets(length=1, depth=1, count=4)",
        "graph-path(nodes=2, depth=1, count=2)",
        "game-24(largest=3, count=2)",
        "small-sat(variables=3, clauses=7, count=5)",
    )
    for spelling in spellings:
        task, questions = asked(spelling)
        for question in questions:
            text = "\n".join(SOLVE[spelling.partition("(")[0]](put(question)))
            assert task.check(question, text) == task.promise(question, text) == 1


def test_numbers_have_their_digits_and_commas_inside_them_are_read():
    for name in ("addition", "multiplication"):
        task, questions = asked(f"{name}(digits=5)")
        for question in questions:
            assert [len(str(one)) for one in numbers(put(question))] == [5, 5]
            text = "\n".join(SOLVE[name](put(question)))
            commas = re.sub(r"\d{4,}", lambda found: f"{int(found[0]):,}", text)
            assert commas != text
            assert task.promise(question, commas) == task.check(question, commas) == 1


def test_brackets_are_no_deeper_than_asked_and_as_deep_somewhere():
    _, questions = asked("brackets(length=40, depth=3, count=30)")
    deepest = []
    for question in questions:
        row = question.data["brackets"]
        deepest.append(max(len(still_open(row[:end])) for end in range(1, 41)))
        assert len(row) == 40
        assert not set(still_open(row)) & set(")]}>")

    assert max(deepest) == 3
    assert len(set("".join(question.data["brackets"] for question in questions))) == 8


def test_a_graph_has_its_points_and_its_depth():
    task, questions = asked("graph-path(nodes=30, depth=6, count=20)")
    for question in questions:
        arrows, start, goal = graph_of(put(question))
        assert sorted({point for arrow in arrows for point in arrow}) == list(range(1, 31))
        assert [len(way) for way in ways(arrows, start, goal)] == [7]
        assert task.check(question, f"Answer: {', '.join(map(str, ways(arrows, start, goal)[0]))}")


def test_an_arrow_is_promising_exactly_if_the_goal_can_be_reached_behind_it():
    task, questions = asked("graph-path(nodes=20, depth=4, count=10)")
    seen = set()
    for question in questions:
        arrows, at, goal = graph_of(put(question))
        said = ""
        for point in ways(arrows, at, goal)[0][1:]:
            for one, other in arrows:
                hopeful = one == at and bool(ways(arrows, other, goal))
                assert task.promise(question, f"{said}{one} -> {other}\n") == hopeful
                seen.add((one == at, hopeful))
            said += f"{at} -> {point}\n"
            at = point
        assert task.promise(question, f"{said}{goal} -> {goal}\n") == 0

    assert seen == {(True, True), (True, False), (False, False)}


def test_ways_that_break_off_or_jump_are_no_answers():
    task, (question, *_) = asked("graph-path")
    arrows, start, goal = graph_of(put(question))
    way = ways(arrows, start, goal)[0]

    for wrong in (way[:-1], way[1:], [start, goal], [start], way[::-1], [*way, goal]):
        assert task.check(question, f"Answer: {' -> '.join(map(str, wrong))}") == 0
    assert task.check(question, f"Answer: go {' -> '.join(map(str, way))}") == 0
    assert task.check(question, f"Answer: {' → '.join(map(str, way))}") == 1


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
    [("(10 - 4) * (1", 1), ("1", 1), ("(10 - 4) * (10", 0), ("5", 0), ("4 + 9 + 10 + 13", 0)],
)
def test_an_unfinished_expression_is_judged_by_its_numbers(begun, hopeful):
    task, (question, *_) = asked("game-24")
    known = replace(question, data={"numbers": [4, 9, 10, 13]})

    assert task.promise(known, f"Answer: {begun}") == hopeful


def test_values_are_promising_exactly_if_others_satisfy_the_formula_with_them():
    task, questions = asked("small-sat(variables=4, clauses=16, count=6)")
    seen = set()
    for question in questions:
        right = models(put(question))
        for order in ([1, 2, 3, 4], [3, 1, 4, 2]):
            for values in product([True, False], repeat=4):
                said = ""
                for end, (one, value) in enumerate(zip(order, values, strict=True), 1):
                    said += f"x{one} = {str(value).lower()}\n"
                    some = dict(zip(order[:end], values, strict=False))
                    hopeful = any(some.items() <= model.items() for model in right)
                    assert task.promise(question, said) == hopeful
                    seen.add(hopeful)
                assert task.check(question, f"Answer: {said.replace(chr(10), ', ')}") == hopeful

    assert seen == {True, False}


def test_a_variable_has_one_value_and_every_variable_has_one():
    task, (question, *_) = asked("small-sat")
    *steps, answer = values_of(put(question))

    assert task.promise(question, f"{steps[0]}\n{steps[0]}\n") == 0
    assert task.check(question, f"{answer}, {steps[0]}") == 0
    assert task.check(question, f"Answer: {', '.join(steps[1:])}") == 0
    assert task.check(question, answer.replace("x1", "x99")) == 0


def test_a_formula_has_as_many_different_clauses_as_asked():
    _, questions = asked("small-sat(variables=6, clauses=40, count=10)")
    for question in questions:
        count, clauses = formula_of(put(question))
        assert count == 6
        assert len({frozenset(clause) for clause in clauses}) == 40
        assert all(len({one for one, _ in clause}) == 3 for clause in clauses)
        assert models(put(question))
