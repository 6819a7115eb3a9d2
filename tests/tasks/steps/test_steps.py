"""What holds of every step task: generated questions are solved anew, and judged."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought.contracts.errors import BadParameterError
from forethought.contracts.search import Candidate
from forethought.tasks.same_answers import SameAnswers
from tests.tasks.steps.solved import (
    NAMES,
    SOLVE,
    asked,
    example,
    formula_of,
    graph_of,
    numbers,
    put,
    still_open,
)

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
