"""The game of 24: four numbers, each used once with + - * / to make 24.

Paper: Tree of Thoughts, arXiv:2305.10601
Score: 1 if the answered expression uses each number once and makes 24.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import permutations
from random import Random
from typing import Annotated

from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.answer_lines import answers
from forethought.tasks.drawing import distinct
from forethought.tasks.steps._expression import value
from forethought.tasks.steps._lines import STEPS_ONLY, StepState, Words, promise, rightness, words

Numbers = tuple[Fraction, ...]

_PROMPT = f"""\
Make 24 from four numbers with + - * /. Use each number exactly once. For each step take two of \
the numbers that are left, and write: number sign number = result (left: all numbers that are \
left then, with the result). Write a result that is not whole as a fraction, like 8/3. The \
answer is one expression of the four numbers that makes 24.
{STEPS_ONLY}

Example: 4 9 10 13
10 - 4 = 6 (left: 6 9 13)
13 - 9 = 4 (left: 4 6)
6 * 4 = 24 (left: 24)
Answer: (10 - 4) * (13 - 9)

Now make 24 from: """


@dataclass(frozen=True)
class Game24(Task):
    """Four whole numbers that can make 24; a step combines two of them."""

    largest: Annotated[int, Whole(3, 100)] = 13
    """Largest number."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""

    answer_tokens = 160

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for identifier, numbers in distinct("game-24", self.seed, self.count, self._numbers):
            yield Question(
                identifier=identifier,
                text=_PROMPT + " ".join(map(str, numbers)),
                data={"numbers": list(numbers)},
            )

    def check(self, question: Question, answer: str) -> float:
        """1 if the answered expression uses each number once and makes 24, else 0."""
        return rightness(_start(question), answer)

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether an answer line states a result."""
        return bool(answers(answer))

    def promise(self, question: Question, text: str) -> float:
        """1 if the steps so far are right and the remaining numbers can make 24, else 0."""
        return promise(_start(question), text)

    def _numbers(self, random: Random) -> tuple[int, ...]:
        while True:
            numbers = tuple(sorted(random.randint(1, self.largest) for _ in range(4)))
            if _makes_24(tuple(map(Fraction, numbers))):
                return numbers


@dataclass(frozen=True)
class _RemainingNumbers(StepState):
    """The numbers of the question, and the remaining ones."""

    given: tuple[int, ...]
    left: Numbers

    def steps(self) -> Mapping[Words, _RemainingNumbers]:
        return {
            step: _RemainingNumbers(self.given, after)
            for step, after in _right_steps(self.left).items()
        }

    def right(self, answer: str) -> bool:
        tokens = _expression(answer)
        return self._used(tokens) == sorted(self.given) and value(tokens) == 24

    def begins(self, answer: str) -> bool:
        tokens = _expression(answer)
        if self._used(tokens) == sorted(self.given) and (made := value(tokens)) is not None:
            return made == 24
        left = list(map(str, self.given))
        for place, word in enumerate(tokens):
            last = place == len(tokens) - 1
            if word.isdecimal():
                fits = [one for one in left if one == word or (last and one.startswith(word))]
                if not fits:
                    return False
                left.remove(fits[0])
            elif word not in "+-*/()":
                return False
        return True

    def _used(self, tokens: tuple[str, ...]) -> list[int]:
        # Truncated, since a number of more digits is not one of the question's.
        return sorted(int(word[:9]) for word in tokens if word.isdecimal())


def _combined(left: Numbers) -> Iterator[tuple[str, Numbers]]:
    """All combinations of two numbers, with the sorted remaining numbers after each."""
    for one, other in permutations(range(len(left)), 2):
        rest = [number for place, number in enumerate(left) if place not in (one, other)]
        for sign, made in _made(left[one], left[other]):
            after = tuple(sorted([*rest, made]))
            yield f"{left[one]} {sign} {left[other]} = {made}", after


def _made(one: Fraction, other: Fraction) -> Iterator[tuple[str, Fraction]]:
    yield "+", one + other
    yield "-", one - other
    yield "*", one * other
    if other:
        yield "/", one / other


@lru_cache(maxsize=1 << 8)
def _right_steps(left: Numbers) -> Mapping[Words, Numbers]:
    return {
        words(f"{line} (left: {' '.join(map(str, order))})"): after
        for line, after in _combined(left)
        if _makes_24(after)
        for order in permutations(after)
    }


@lru_cache(maxsize=1 << 14)
def _makes_24(left: Numbers) -> bool:
    if len(left) == 1:
        return left[0] == 24
    return any(_makes_24(after) for _, after in _combined(left))


def _expression(answer: str) -> tuple[str, ...]:
    """The words of an answer, without a final "= 24"."""
    tokens = words(answer)
    return tokens[:-2] if tokens[-2:] == ("=", "24") else tokens


def _start(question: Question) -> _RemainingNumbers:
    numbers = tuple(question.data["numbers"])
    return _RemainingNumbers(numbers, tuple(map(Fraction, numbers)))
