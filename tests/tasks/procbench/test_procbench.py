"""Every trace is found again from the text of its question; answers score as published."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Question
from forethought.tasks.procbench._trace import agreement, canonical, states
from forethought.tasks.procbench.procbench import FAMILIES
from tests.tasks.procbench.followed import FOLLOWED
from tests.tasks.procbench.followed import given as instance

NAMES = list(FAMILIES)


def asked(spelling: str) -> tuple[Any, list[Question]]:
    task = catalogue.build(spelling, "tasks")
    return task, list(task.questions(len))


def written(trace: Sequence[str], final: str | None = None) -> str:
    return "\n".join([*trace, f"Answer: {trace[-1] if final is None else final}"])


def test_there_are_the_23_published_families() -> None:
    task, questions = asked("procbench(count=2)")

    assert len(NAMES) == 23
    assert sorted(FOLLOWED) == sorted(NAMES)
    assert Counter(one.data["family"] for one in questions) == dict.fromkeys(NAMES, 2)
    for name in NAMES:
        one, _ = asked(f"procbench(family={name}, count=1)")
        assert one.answer_tokens <= task.answer_tokens


@pytest.mark.parametrize("name", NAMES)
def test_traces_are_those_of_the_procedure_and_score_1(name: str) -> None:
    task, questions = asked(f"procbench(family={name}, count=24)")

    assert sorted(len(one.data["states"]) for one in questions) == [*range(2, 26)]
    for question in questions:
        trace = FOLLOWED[name](**instance(question.text))
        assert trace == question.data["states"], question.text
        assert len(written(trace)) <= task.answer_tokens
        for score in ("prefix", "sequential", "final", "parsed"):
            assert replace(task, score=score).check(question, written(trace)) == 1
        assert task.check(question, written(trace[:-1], trace[-1])) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_worked_example_is_right(name: str) -> None:
    _, (question,) = asked(f"procbench(family={name}, count=1)")
    shown = question.text.partition("\n\nExample:\n")[2].partition("\n\nNow this one:")[0]
    told, _, lines = shown.partition("\nLines:\n")

    assert lines == written(FOLLOWED[name](**instance(told)))
    assert told not in question.text.rpartition("\n\nNow this one:")[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_state_ends_the_right_prefix(name: str) -> None:
    task, (question,) = asked(f"procbench(family={name}, least=6, most=6, count=1)")
    trace, form = question.data["states"], FAMILIES[name].form

    for place in range(6):
        spoilt = [*trace[:place], trace[place] + "7", *trace[place + 1 :]]
        found = agreement(trace, states(written(spoilt), form), form)
        assert (found.prefix, found.given, found.right) == (place, 6, 6)
        assert found.accuracy == task.check(question, written(spoilt)) == place / 6
        assert found.final == (place < 5)
        assert replace(task, score="sequential").check(question, written(spoilt)) == 0
    lengths = [task.check(question, written(trace[:end])) for end in range(1, 7)]
    assert lengths == pytest.approx([end / 6 for end in range(1, 7)])


def test_a_superfluous_state_costs_the_sequential_match_alone() -> None:
    task, (question,) = asked("procbench(family=cumulate, least=4, most=4, count=1)")
    trace = question.data["states"]
    longer = written([*trace[:-1], "77", trace[-1]])

    assert task.check(question, longer) == 3 / 5
    assert replace(task, score="sequential").check(question, longer) == 0
    assert replace(task, score="final").check(question, longer) == 1


def test_agreement_is_that_of_a_slow_reference() -> None:
    for right, held in [("abc", "abc"), ("abc", "abd"), ("abc", "abcc"), ("ab", "b"), ("aa", "a")]:
        found = agreement([*right], [*held], "string")
        prefix = max(n for n in range(len(right) + 1) if held[:n] == right[:n] and n <= len(held))
        assert found.accuracy == prefix / max(len(right), len(held))
        assert found.final == (right[-1] == held[-1])


def test_answers_without_a_final_state_are_unreadable() -> None:
    task, (question,) = asked("procbench(family=push-pop, count=1, score=parsed)")
    trace = question.data["states"]

    for unreadable in ("", "\n".join(trace), "Answer:", "Answer: I do not know", "```"):
        assert task.check(question, unreadable) == 0
        assert replace(task, score="prefix").check(question, unreadable) == 0
    assert task.check(question, "Answer: wrong") == 1


@pytest.mark.parametrize("name", NAMES)
def test_markup_does_not_matter(name: str) -> None:
    task, (question,) = asked(f"procbench(family={name}, count=1, least=4, most=4)")
    trace = question.data["states"]
    lines = [f"{number}. `{state}`" for number, state in enumerate(trace, 1)]
    marked = "\r\n".join(
        ["The states:", "String: abc", "", "```text", *lines, "", f"**Answer:** `{trace[-1]}`"]
    )
    steps = [f"Step {number}: {state}" for number, state in enumerate(trace, 1)]
    dashed = "\n".join([*steps, f"answer: {trace[-1]}"])

    assert task.check(question, marked) == task.check(question, dashed) == 1


def test_lists_and_numbers_are_read_as_written_in_python() -> None:
    assert canonical("['ab', 'c'], 3", "items") == canonical("ab, c, 3", "items") == "ab c 3"
    assert canonical("1,024.", "number") == canonical("1024", "number") == "1024"
    assert canonical("12 + 3 = 15", "number") == canonical("a b", "string") == ""
    assert canonical("--x--", "string") == "--x--"
    assert canonical("[1]  word", "sentence") == "[1] word"


@pytest.mark.parametrize("name", NAMES)
def test_every_beginning_of_the_trace_is_promising_and_no_wrong_one(name: str) -> None:
    task, (question,) = asked(f"procbench(family={name}, count=1, least=5, most=5)")
    trace = question.data["states"]
    text = written(trace)

    for end in range(0, len(text) + 1, 3):
        assert task.promise(question, text[:end]) == 1, text[:end]
    for place in range(5):
        assert task.promise(question, "\n".join([*trace[:place], trace[place] + "7", ""])) == 0
    assert task.promise(question, text + "7") == task.promise(question, text + "7\n") == 0
    assert task.promise(question, f"{trace[0]}\nAnswer: {trace[-1]}") == 0


def test_more_questions_keep_the_first_ones_and_seeds_differ() -> None:
    _, few = asked("procbench(count=3)")
    _, many = asked("procbench(count=5)")
    _, other = asked("procbench(count=3, seed=1)")
    _, again = asked("procbench(count=3)")

    assert few == again == many[: len(few)]
    assert len({one.identifier for one in many}) == len({one.text for one in many}) == 5 * 23
    assert not {one.text for one in few} & {one.text for one in other}
    assert [json.loads(json.dumps(one.data)) for one in few] == [one.data for one in few]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(BadParameterError, match=re.escape("least=9 is more than most=4")):
        asked("procbench(least=9, most=4)")
    with pytest.raises(BadParameterError, match="family='sorting' must be one of"):
        asked("procbench(family=sorting)")


@settings(deadline=None, max_examples=100)
@given(text=st.text(st.sampled_from("0123 abx-,.:[]()\"'*`Answer\n\r²")))
def test_whatever_is_written_is_judged(text: str) -> None:
    task, (question,) = asked("procbench(family=encode, count=1, least=3, most=3)")

    for answer in (text, f"{text}\nAnswer: {text}"):
        assert 0 <= task.check(question, answer) <= 1
        assert task.promise(question, answer) in (0, 1)
