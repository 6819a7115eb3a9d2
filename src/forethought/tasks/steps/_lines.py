"""Answers in steps: one step a line, then a line with the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from forethought.tasks.answer_lines import answers

Words = tuple[str, ...]

STEPS_ONLY = (
    "Write every step on a line of its own, in exactly this form, and no other text. "
    "The last line is the answer, after the word Answer and a colon."
)
"""The part of the prompt that describes the form of an answer."""

_WORD = re.compile(r"\d+|[a-z]+|\S", re.ASCII)
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "\u2212": "-", "→": "->", ",": " "})


class StepState(Protocol):
    """The state after valid steps: possible next steps, and right answers."""

    def steps(self) -> Mapping[Words, StepState]:
        """Every valid next step, as split by `words`, with the state after it."""
        ...

    def right(self, answer: str) -> bool:
        """Whether the answer is right, regardless of the steps before it."""
        ...

    def begins(self, answer: str) -> bool:
        """Whether the text is a prefix of a right answer."""
        ...


class OneAnswer(StepState, Protocol):
    """A state of a question with one right answer."""

    answer: str
    """The right answer."""

    def right(self, answer: str) -> bool:
        """Whether the answer equals the right one word by word."""
        return words(answer) == words(self.answer)

    def begins(self, answer: str) -> bool:
        """Whether the text is a prefix of the right answer."""
        return starts(words(answer), words(self.answer))


def words(text: str) -> Words:
    """Split a text into numbers, words and signs, ignoring case, spaces and commas."""
    return tuple(_WORD.findall(text.translate(_SPELLINGS).lower()))


def starts(given: Words, whole: Words) -> bool:
    """Whether `given` is a prefix of `whole`; its last word may be partial."""
    if not given:
        return True
    *before, last = given
    place = len(before)
    return place < len(whole) and (*whole[:place],) == (*before,) and whole[place].startswith(last)


def rightness(start: StepState, text: str) -> float:
    """1 if the last answer line is right, else 0."""
    given = answers(text)
    return float(bool(given) and start.right(given[-1]))


def promise(start: StepState, text: str) -> float:
    """1 if every line is a valid step after the lines before it, else 0.

    An unfinished line is valid if it is a prefix of a valid step. The first answer is judged
    even if steps are missing; text after it is ignored.
    """
    place = start
    *lines, last = text.split("\n")
    for line in lines:
        if given := answers(line):
            return float(start.right(given[0]))
        following = place.steps().get(split) if (split := words(line)) else place
        if following is None:
            return 0.0
        place = following
    if given := answers(last):
        return float(start.begins(given[0]))
    nexts = (*place.steps(), words("Answer:"))
    return float(any(starts(words(last), step) for step in nexts))
