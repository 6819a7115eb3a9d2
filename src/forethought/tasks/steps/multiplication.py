"""Multiplication of two numbers, digit by digit of the second one.

Paper: Faith and Fate, arXiv:2305.18654
Score: 1 if the answered product is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated

from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.answer_lines import answers
from forethought.tasks.drawing import distinct
from forethought.tasks.steps._digits import long_number, without_thousands
from forethought.tasks.steps._lines import STEPS_ONLY, OneAnswer, Words, promise, rightness, words

_PROMPT = f"""\
Multiply two numbers. For each digit of the second number, beginning with the last one, write: \
first number * that digit with its zeros = product, total sum of all products so far.
{STEPS_ONLY}

Example: 47 * 306
47 * 6 = 282, total 282
47 * 0 = 0, total 282
47 * 300 = 14100, total 14382
Answer: 14382

Now multiply: """


@dataclass(frozen=True)
class Multiplication(Task):
    """Two numbers of equal length; a step is one digit of the second, with the total so far."""

    digits: Annotated[int, Whole(1, 100)] = 3
    """Digits of each number, and steps of a right answer."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer: one per digit of each step, and a few more."""
        return (self.digits + 1) * (6 * self.digits + 24)

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for identifier, pair in distinct("multiplication", self.seed, self.count, self._pair):
            yield Question(
                identifier=identifier,
                text=f"{_PROMPT}{pair[0]} * {pair[1]}",
                answers=(str(pair[0] * pair[1]),),
                data={"numbers": list(pair)},
            )

    def check(self, question: Question, answer: str) -> float:
        """1 if the answered product is right, else 0."""
        return rightness(_start(question), without_thousands(answer))

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether an answer line states a result."""
        return bool(answers(answer))

    def promise(self, question: Question, text: str) -> float:
        """1 if all steps so far are right, else 0."""
        return promise(_start(question), without_thousands(text))

    def _pair(self, random: Random) -> tuple[int, int]:
        return long_number(random, self.digits), long_number(random, self.digits)


@dataclass(frozen=True)
class _Row(OneAnswer):
    """The remaining digits of the second number; the last one is next."""

    first: int
    second: str
    answer: str
    zeros: int = 0
    total: int = 0

    def steps(self) -> Mapping[Words, _Row]:
        if not self.second:
            return {}
        digit = int(self.second[-1]) * 10**self.zeros
        total = self.total + self.first * digit
        line = f"{self.first} * {digit} = {self.first * digit}, total {total}"
        return {
            words(line): replace(self, second=self.second[:-1], zeros=self.zeros + 1, total=total)
        }


def _start(question: Question) -> _Row:
    first, second = question.data["numbers"]
    return _Row(first, str(second), str(first * second))
