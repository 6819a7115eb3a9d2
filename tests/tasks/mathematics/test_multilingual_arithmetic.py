"""Word problems in five languages, against their English text worked out by hand and by loops."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Question
from forethought.numerics.language import elsewhere, language_of
from forethought.tasks.mathematics._stories import INSTRUCTIONS, STORIES

LANGUAGES = ("english", "german", "french", "spanish", "chinese")
FIRST = (
    "A bakery has 51 rolls. It sells 25 rolls. It divides all rolls equally among 2 bags and keeps "
    "only one bag. Then it bakes until it has 3 times as many rolls as before. How many rolls does "
    "the bakery have now?"
)  # (51 - 25) / 2 * 3 = 39


def asked(spelling: str) -> list[Question]:
    return list(catalogue.build(spelling, "tasks").questions(len))


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d+", text)]


def solved(text: str) -> tuple[int, list[int]]:
    """The result of an English problem, sentence by sentence, and all values on the way."""
    opening, *sentences = re.split(r"(?<=\.) ", text.partition("\n\n")[0])
    (value,) = numbers(opening)
    values = [value]
    for sentence in sentences[:-1]:
        (number,) = numbers(sentence)
        if "times as many" in sentence:
            value = value * number
        elif "equally among" in sentence:
            assert value % number == 0
            value = value // number
        elif "sells" in sentence or "away" in sentence or "to a friend" in sentence:
            value = value - number
        else:
            value = value + number
        values.append(value)
    return value, values


def test_a_problem_worked_out_by_hand_has_its_answer() -> None:
    question = asked("multilingual-arithmetic(language=english, steps=3, count=1)")[0]

    assert question.text.partition("\n\n")[0] == FIRST
    assert question.answers == ("39",)


@pytest.mark.parametrize("steps", [1, 3, 12])
def test_answers_follow_from_the_english_sentences(steps: int) -> None:
    for question in asked(f"multilingual-arithmetic(language=english, steps={steps}, count=60)"):
        found, values = solved(question.text)

        assert question.answers == (str(found),)
        assert len(values) == steps + 1
        assert all(2 <= value <= 999 for value in values)


def test_each_problem_has_the_same_numbers_and_answer_in_five_languages() -> None:
    questions = asked("multilingual-arithmetic(count=30)")

    assert len(questions) == 150
    for start in range(0, 150, 5):
        same = questions[start : start + 5]
        assert [one.data["language"] for one in same] == list(LANGUAGES)
        assert len({tuple(numbers(one.text)) for one in same}) == 1
        assert len({one.answers for one in same}) == 1
        assert len({one.cluster for one in same}) == 1
        assert len({one.text for one in same}) == 5
    assert len({one.identifier for one in questions}) == 150


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_language_asks_the_questions_that_all_ask_in_it(language: str) -> None:
    every = [one for one in asked("multilingual-arithmetic") if one.data["language"] == language]

    assert asked(f"multilingual-arithmetic(language={language})") == every
    assert asked(f"multilingual-arithmetic(language={language}, count=4)") == every[:4]


def test_other_seeds_ask_other_problems() -> None:
    texts = [
        {one.text for one in asked(f"multilingual-arithmetic(language=english, seed={seed})")}
        for seed in (0, 1)
    ]

    assert not texts[0] & texts[1]


def test_searches_tell_the_language_of_every_question() -> None:
    found = {"english": "English", "chinese": "Chinese"}
    for question in asked("multilingual-arithmetic(count=40)"):
        language = question.data["language"]

        assert language_of(question.text) == found.get(language, "other")
        assert elsewhere(question.text) == ("Chinese" if language == "english" else "English")


def test_every_change_and_story_occurs() -> None:
    questions = asked("multilingual-arithmetic(language=english, count=100)")
    text = " ".join(one.text for one in questions)

    for story in STORIES["english"]:
        for field in fields(story):
            begin = getattr(story, field.name).partition("{}")[0]
            assert begin in text


def test_every_sentence_has_one_number_and_a_translation() -> None:
    for language in LANGUAGES:
        assert len(STORIES[language]) == len(STORIES["english"])
        assert Counter(INSTRUCTIONS[language])["\\"] == 1
        for story in STORIES[language]:
            for field in fields(story):
                sentence = getattr(story, field.name)
                assert sentence.count("{}") == (field.name != "asked")
                assert not numbers(sentence)
    sentences = [
        getattr(story, field.name)
        for stories in STORIES.values()
        for story in stories
        for field in fields(story)
    ]
    # Two French stories could share a sentence; within a language none occurs twice.
    assert len(sentences) == len(set(sentences))


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("51 - 25 = 26, 26 / 2 = 13, 13 * 3 = 39. \\boxed{39}", 1),
        ("Die Antwort ist \\boxed{39}.", 1),
        ("La réponse est 39 petits pains", 1),
        ("La respuesta: **39**", 1),
        ("答案是39个。", 1),
        ("答案是\\boxed{\uff13\uff19}", 1),
        ("\\boxed{39.0}", 1),
        ("答案是40个。", 0),
        ("39 oder 40", 0),
        ("\\boxed{Zahl}", 0),
        ("", 0),
    ],
)
def test_answers_count_in_any_language(answer: str, score: float) -> None:
    task = catalogue.build("multilingual-arithmetic(steps=3, count=1)", "tasks")
    for question in task.questions(len):
        assert task.check(question, answer) == score


def test_equal_numbers_are_stated_alike_in_every_language() -> None:
    task = catalogue.build("multilingual-arithmetic", "tasks")

    assert task.stated("The answer is 39.") == task.stated("答案是39个。") == "39"


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(BadParameterError, match="language='latin' must be one of all, english"):
        catalogue.build("multilingual-arithmetic(language=latin)", "tasks")
    with pytest.raises(BadParameterError, match="steps=0 must be 1 to 50"):
        catalogue.build("multilingual-arithmetic(steps=0)", "tasks")
