"""Addition of two long numbers digit by digit.

Paper: scratchpads, arXiv:2112.00114
Score: 1 if the answered sum is right.
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
Add two numbers digit by digit, beginning with the last digits. For each pair of digits write: \
digit of the first number + digit of the second number + carry = sum, write last digit of the \
sum, carry 1 or 0. The first carry is 0. If the last carry is 1, it is the first digit of the \
answer.
{STEPS_ONLY}

Example: 758 + 467
8 + 7 + 0 = 15, write 5, carry 1
5 + 6 + 1 = 12, write 2, carry 1
7 + 4 + 1 = 12, write 2, carry 1
Answer: 1225

Now add: """


@dataclass(frozen=True)
class Addition(Task):
    """Two numbers of equal length; a step is one pair of digits with the carry."""

    digits: Annotated[int, Whole(1, 1000)] = 8
    """Digits of each number, and steps of a right answer."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer: 32 per step, and a few per digit of the sum."""
        return 36 * self.digits + 32

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for identifier, pair in distinct("addition", self.seed, self.count, self._pair):
            yield Question(
                identifier=identifier,
                text=f"{_PROMPT}{pair[0]} + {pair[1]}",
                answers=(str(sum(pair)),),
                data={"numbers": list(pair)},
            )

    def check(self, question: Question, answer: str) -> float:
        """1 if the answered sum is right, else 0."""
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
class _Column(OneAnswer):
    """The remaining digits of both numbers; the last ones are next."""

    first: str
    second: str
    answer: str
    carry: int = 0

    def steps(self) -> Mapping[Words, _Column]:
        if not self.first:
            return {}
        one, other = int(self.first[-1]), int(self.second[-1])
        found = one + other + self.carry
        line = f"{one} + {other} + {self.carry} = {found}, write {found % 10}, carry {found // 10}"
        rest = replace(self, first=self.first[:-1], second=self.second[:-1], carry=found // 10)
        return {words(line): rest}


def _start(question: Question) -> _Column:
    first, second = question.data["numbers"]
    return _Column(str(first), str(second), str(first + second))
