"""Generated instructions: every question can be answered, and each broken constraint is seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Question
from forethought.tasks.instructions._topics import FIRST, KEYS, LAST, REQUIRED, TOPICS
from tests.tasks.instructions.witness import witness

TASK = "instruction-following"


def asked(spelling: str) -> tuple[Any, list[Question]]:
    task = catalogue.build(spelling, "tasks")
    return task, list(task.questions(len))


def score(answer: str, *constraints: Mapping[str, Any], strict: bool = False) -> float:
    task, (question,) = asked(f"{TASK}(count=1, strict={str(strict).lower()})")
    return float(task.check(replace(question, data={"constraints": list(constraints)}), answer))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_one_text_can_meet_all_constraints_of_every_question(number: int) -> None:
    task, questions = asked(f"{TASK}(constraints={number}, count=120, strict=true)")
    for question in questions:
        constraints = question.data["constraints"]

        assert len(constraints) == number
        assert task.check(question, witness(constraints)) == 1, (constraints, witness(constraints))


def test_every_kind_is_asked_for_in_words() -> None:
    _, questions = asked(f"{TASK}(constraints=1, count=150)")
    kinds = {question.data["constraints"][0]["kind"] for question in questions}

    assert len(kinds) == 13
    for question in questions:
        (one,) = question.data["constraints"]
        (line,) = re.findall(r"^1\. (.+)$", question.text, re.MULTILINE)
        for name, value in one.items():
            values = value if isinstance(value, tuple) else (value,)
            said = {"lower": "lower case", "capital": "capital letters"}
            shown = [said.get(each, str(each)) for each in values if each]
            assert name == "kind" or all(each in line for each in shown)


def test_a_greater_count_keeps_the_first_questions_and_seeds_differ() -> None:
    _, ten = asked(TASK)
    _, four = asked(f"{TASK}(count=4)")
    _, others = asked(f"{TASK}(seed=1)")

    assert ten[:4] == four
    assert not {one.text for one in ten} & {one.text for one in others}


def test_the_score_is_the_share_met_and_strict_asks_for_all() -> None:
    lower, short, no_comma = {"kind": "case", "case": "lower"}, words(0, 3), {"kind": "no-commas"}
    every = (lower, short, no_comma)

    assert score("one two three", *every) == 1
    assert score("One two three", *every) == pytest.approx(2 / 3)
    assert score("One, two three four", *every) == 0
    assert score("one two three", *every, strict=True) == 1
    assert score("One two three", *every, strict=True) == 0


@pytest.mark.parametrize("answer", ["", "  \n ", "...", "```\n```", "- "])
def test_an_empty_answer_meets_nothing(answer: str) -> None:
    assert score(answer, {"kind": "no-commas"}, {"kind": "forbid", "words": ("sea",)}) == 0


def words(least: int, most: int) -> dict[str, Any]:
    return {"kind": "words", "least": least, "most": most}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("one two", 2),
        ("  one\t two \n three ", 3),
        ("don't stop", 2),
        ("a well-known naïve café", 4),
        ("yes — or no", 3),
        ("yes—or/no…never", 4),
        ("It costs 3.50 € , or 4", 5),
        ("- one\n* two\n# three", 3),
        ("किताब पढ़ना", 2),
        ("e\u0301te\u0301 froid", 2),
        ("Ответ готов", 2),
        ("```\none two\n```", 2),
    ],
)
def test_words_are_counted(text: str, count: int) -> None:
    assert score(text, words(count, 0)) == score(text, words(0, count)) == 1
    assert score(text, words(count + 1, 0)) == score(text, words(0, count - 1) if count > 1
                                                     else words(count + 1, 0)) == 0  # fmt: skip


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("One... two. ", 2),
        ("One.\nTwo.", 2),
        ("One\ntwo", 1),
        ("One\n\ntwo", 2),
        ("Pi is 3.14 and e.g. Mr. Smith knows.", 1),
        ("I said no. He left.", 2),
        ('"One." (Two.) **Three.**', 3),
        ("1. One.\n2. Two.", 2),
        ("It was 1985. Then rain.", 2),
        ("今天下雨。明天呢\uff1f好\uff01", 3),
        ("他说“好。”然后走了。", 2),
        ("See www.example.com now.", 1),
        ("One. ...", 1),
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    assert score(text, {"kind": "sentences", "count": count}) == 1
    assert score(text, {"kind": "sentences", "count": count + 1}) == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("one\ntwo", 1),
        ("one\n\ntwo", 2),
        ("one\n  \t\n\n\ntwo\r\n\r\nthree", 3),
        ("one\n\n***\n\ntwo", 2),
        ("\n\none\n\n", 1),
    ],
)
def test_paragraphs_are_counted(text: str, count: int) -> None:
    assert score(text, {"kind": "paragraphs", "count": count}) == 1
    assert score(text, {"kind": "paragraphs", "count": count + 1}) == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("- one\n- two", 2),
        ("Title\n\n* one\n  + two\n• three", 3),
        ("**bold**\n-5 degrees\n---\n- one", 1),
        ("a - b\n- one", 1),
        ("-   \n- one", 1),
    ],
)
def test_bullets_are_counted(text: str, count: int) -> None:
    assert score(text, {"kind": "bullets", "count": count}) == 1
    assert score(text, {"kind": "bullets", "count": count + 1}) == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The LANTERN fell.", True),
        ("lantern-light", True),
        ("the lantern's glow", True),
        ("_lantern_", True),
        ("lanterns", False),
        ("a lan tern", False),
    ],
)
def test_words_are_found_whole_and_in_any_case(text: str, found: bool) -> None:
    assert score(text, {"kind": "include", "words": ("lantern",)}) == found
    assert score(text, {"kind": "forbid", "words": ("lantern",)}) == (not found)


def test_all_required_and_no_forbidden_words_count() -> None:
    assert score("copper", {"kind": "include", "words": ("copper", "violin")}) == 0
    assert score("copper", {"kind": "forbid", "words": ("copper", "violin")}) == 0


@pytest.mark.parametrize(
    ("text", "lower", "capital"),
    [
        ("all lower, 3 times", 1, 0),
        ("ALL CAPITAL, 3 TIMES", 0, 1),
        ("Mixed", 0, 0),
        ("élan über straße", 1, 0),
        ("ÜBER ALLES", 0, 1),
        ("\u01c5", 0, 0),  # a title-case letter
        ("123", 0, 0),
        ("今天", 0, 0),
    ],
)
def test_case_is_that_of_all_letters(text: str, lower: int, capital: int) -> None:
    assert score(text, {"kind": "case", "case": "lower"}) == lower
    assert score(text, {"kind": "case", "case": "capital"}) == capital


@pytest.mark.parametrize("comma", [",", "\uff0c", "\u3001", "\u060c"])
def test_commas_of_any_script_count(comma: str) -> None:
    assert score(f"one{comma} two", {"kind": "no-commas"}) == 0
    assert score("one; two", {"kind": "no-commas"}) == 1


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Long ago there was", 1),
        ("  Long\nago, there", 1),
        ('"Long ago" he', 1),
        ("**Long ago**", 1),
        ("```\nLong ago\n```", 1),
        ("long ago", 0),
        ("Long agony", 0),
        ("So long ago", 0),
    ],
)
def test_the_first_words_are_exact(text: str, right: int) -> None:
    assert score(text, {"kind": "starts", "phrase": "Long ago"}) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("It rained. And so it ends.", 1),
        ("It rained. And so it ends.  \n\n", 1),
        ('"It rained.\nAnd so it  ends."', 1),
        ("```text\nIt rained. And so it ends. \n```", 1),
        ("*And so it ends.*", 1),
        ("And so it ends", 0),
        ("and so it ends.", 0),
        ("And so it ends. Bye", 0),
        ("xAnd so it ends.", 0),
    ],
)
def test_the_last_words_are_exact(text: str, right: int) -> None:
    assert score(text, {"kind": "ends", "phrase": "And so it ends."}) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("<<A day>>\nIt rained.", 1),
        ("\n**<<A day>>**\n\nIt rained.", 1),
        ("# <<A day>>\nIt rained.", 1),
        ("<<A day>> It rained.", 0),
        ("It rained.\n<<A day>>", 0),
        ("<< >>\nIt rained.", 0),
        ("<<A day>>", 0),
        ("<A day>\nIt rained.", 0),
        ("<<a>> <<b>>\nIt rained.", 0),
    ],
)
def test_the_title_is_the_first_line(text: str, right: int) -> None:
    assert score(text, {"kind": "title"}) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('{"mood": "calm", "author": "me"}', 1),
        ('```json\n{"mood": "calm",\n "author": "me"}\n```', 1),
        ('  {"author": "me", "mood": "calm"}\n\n', 1),
        ('Here: {"mood": "calm", "author": "me"}', 0),
        ('{"mood": "calm", "author": "me"} Done.', 0),
        ('```json\n{"mood": "calm", "author": "me"}\n```\nDone.', 0),
        ('{"mood": "calm"}', 0),
        ('{"mood": "calm", "author": "me", "more": "x"}', 0),
        ('{"mood": "calm", "author": ""}', 0),
        ('{"mood": "calm", "author": 3}', 0),
        ('[{"mood": "calm", "author": "me"}]', 0),
        ("{'mood': 'calm', 'author': 'me'}", 0),
        ("[" * 100_000 + "1", 0),
        ("9" * 5000, 0),
    ],
)
def test_json_stands_alone_with_its_keys(text: str, right: int) -> None:
    assert score(text, {"kind": "json", "keys": ("mood", "author")}) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("今天我去了火车站。", 1),
        ("今天我去了 Berlin 的火车站\uff0c那里有很多人在等车。", 1),
        ("I went to the station.", 0),
        ("駅に行きました。", 0),
    ],
)
def test_the_language_is_chinese(text: str, right: int) -> None:
    assert score(text, {"kind": "chinese"}) == right


def test_answers_that_differ_in_case_or_layout_are_stated_apart() -> None:
    task, _ = asked(TASK)

    assert len({task.stated(one) for one in ("Ab c", "ab c", "Ab\n\nc", "Ab c.")}) == 4
    assert task.stated("```\nAb c \n```") == task.stated("Ab c") == "Ab c"


def test_phrases_leave_room_for_other_constraints() -> None:
    every = {word for topic in TOPICS for word in topic.words}
    said = {*" ".join((*FIRST, *LAST, *KEYS)).casefold().replace(".", "").split()}

    assert not every & {*REQUIRED, *said}
    assert not "".join((*FIRST, *LAST)).count(",")
    for topic in TOPICS:
        assert not set(topic.words) & set(topic.name.split())


def test_more_constraints_than_fit_are_refused() -> None:
    with pytest.raises(BadParameterError, match="constraints=6 must be 1 to 5"):
        catalogue.build(f"{TASK}(constraints=6)", "tasks")
