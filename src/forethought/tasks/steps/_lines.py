"""Answers in lines: right steps, one a line, then a line that gives the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

Words = tuple[str, ...]

STEPS_ONLY = (
    "Write every step on a line of its own, in exactly this form, and no other text. "
    "The last line is the answer, after the word Answer and a colon."
)
"""What every prompt says of the form."""

_WORD = re.compile(r"\d+|[a-z]+|\S", re.ASCII)
_ANSWER = re.compile(
    r"^[ \t*_#>]*answer[ \t*_]*[:=][ \t*_]*([^\s*_].*)$", re.IGNORECASE | re.MULTILINE
)
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "\u2212": "-", "→": "->", ",": " "})


class StepState(Protocol):
    """Where right steps have led to: what may follow, and which answers are right."""

    def steps(self) -> Mapping[Words, StepState]:
        """Every right next line, as `words` reads it, and where it leads to."""
        ...

    def right(self, answer: str) -> bool:
        """Whether this is a right answer, whatever the steps before it."""
        ...

    def begins(self, answer: str) -> bool:
        """Whether more letters can make this a right answer."""
        ...


class OneAnswer(StepState, Protocol):
    """A place of a question that has one answer."""

    answer: str
    """The only right one."""

    def right(self, answer: str) -> bool:
        """Whether it is the same word by word."""
        return words(answer) == words(self.answer)

    def begins(self, answer: str) -> bool:
        """Whether the right one begins so."""
        return starts(words(answer), words(self.answer))


def words(text: str) -> Words:
    """Numbers, words and signs, whatever their case and the spaces and commas between them."""
    return tuple(_WORD.findall(text.translate(_SPELLINGS).lower()))


def starts(given: Words, whole: Words) -> bool:
    """Whether more letters can make `given` the `whole`."""
    if not given:
        return True
    *before, last = given
    place = len(before)
    return place < len(whole) and (*whole[:place],) == (*before,) and whole[place].startswith(last)


def rightness(start: StepState, text: str) -> float:
    """1 if the last line that gives an answer gives a right one."""
    given = _answers(text)
    return float(bool(given) and start.right(given[-1]))


def promise(start: StepState, text: str) -> float:
    """1 if every line is a right step from where those before it led, else 0.

    A line that is not finished is right if it can become so. The first answer is judged whatever
    steps are missing before it, and nothing behind it is.
    """
    place = start
    *lines, last = text.split("\n")
    for line in lines:
        if given := _answers(line):
            return float(start.right(given[0]))
        following = place.steps().get(said) if (said := words(line)) else place
        if following is None:
            return 0.0
        place = following
    if given := _answers(last):
        return float(start.begins(given[0]))
    nexts = (*place.steps(), words("Answer:"))
    return float(any(starts(words(last), step) for step in nexts))


def _answers(text: str) -> list[str]:
    """What each line that gives an answer gives."""
    return [found.rstrip("*_$`. \t\r").lstrip("$`") for found in _ANSWER.findall(text)]
