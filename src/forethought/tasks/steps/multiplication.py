"""Two numbers to be multiplied digit by digit of the second one.

Paper: Faith and Fate, arXiv:2305.18654
Score: 1 if the product that is given as the answer is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated

from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.steps._digits import long_number, without_thousands
from forethought.tasks.steps._drawing import distinct
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
    """Two numbers of equal length; a step is one digit of the second and the total so far."""

    digits: Annotated[int, Whole(1, 100)] = 3
    """Digits of each number, and so steps of a right answer."""
    count: Count = 10
    """How many questions; asking for more keeps the first ones."""
    seed: CountOrZero = 0
    """Other seeds give other questions."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens an answer needs: a few, and one for every digit of every step."""
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
        """1 if the product that is given as the answer is right."""
        return rightness(_start(question), without_thousands(answer))

    def promise(self, question: Question, text: str) -> float:
        """1 if all steps so far are right, else 0."""
        return promise(_start(question), without_thousands(text))

    def _pair(self, random: Random) -> tuple[int, int]:
        return long_number(random, self.digits), long_number(random, self.digits)


@dataclass(frozen=True)
class _Row(OneAnswer):
    """What is left of the second number, its last digit next."""

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
