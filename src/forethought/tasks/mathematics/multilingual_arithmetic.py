"""Generated word problems in five languages, with the same numbers in each language.

Paper: MGSM, arXiv:2210.03057 (grade-school problems in several languages); problems of this project
Score: 1 if the answer's final number equals the reference, in any language.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Annotated, Literal

from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.drawing import distinct
from forethought.tasks.mathematics._stories import (
    INSTRUCTIONS,
    SPACES,
    STORIES,
    Change,
    Language,
)
from forethought.tasks.mathematics._word_problem import judged, parsed, stated

Step = tuple[Change, int]
_LARGEST = 999
"""Greatest value: numbers need no thousands separators, which differ between languages."""
_LEAST = 2
"""Least value, since sentences are in the plural."""


@dataclass(frozen=True)
class _Problem:
    """A story, its first value and its changes, in no language."""

    story: int
    first: int
    steps: tuple[Step, ...]

    @property
    def answer(self) -> int:
        """The value after all changes."""
        value = self.first
        for step in self.steps:
            value = _after(value, step)
        return value

    def told(self, language: Language) -> str:
        """The problem in one language, with the instruction."""
        story = STORIES[language][self.story]
        sentences = [
            story.opening.format(self.first),
            *(story.sentence(change).format(number) for change, number in self.steps),
            story.asked,
        ]
        return f"{SPACES[language].join(sentences)}\n\n{INSTRUCTIONS[language]}"


@dataclass(frozen=True)
class MultilingualArithmetic(Task):
    """Word problems with a whole number as the answer; each step changes one quantity."""

    language: Literal["all", "english", "german", "french", "spanish", "chinese"] = "all"
    """Language of the questions; all: each problem in every language, in one cluster."""
    steps: Annotated[int, Whole(1, 50)] = 2
    """Changes of the quantity, and steps of a right answer."""
    count: Count = 10
    """Number of problems; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the problems; equal for all languages."""
    answer_tokens: Count = 384
    """Most tokens of an answer."""

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order, problem by problem."""
        named = distinct("multilingual-arithmetic", self.seed, self.count, self._problem)
        for identifier, problem in named:
            for language in STORIES:
                if self.language in ("all", language):
                    yield Question(
                        identifier=f"{identifier}-{language}",
                        text=problem.told(language),
                        answers=(str(problem.answer),),
                        cluster=identifier,
                        data={"language": language},
                    )

    def check(self, question: Question, answer: str) -> float:
        """1 if the answer's final number equals the reference, else 0."""
        return judged(question, answer)

    def stated(self, answer: str) -> str:
        """The final number."""
        return stated(answer)

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether the final answer holds a number."""
        return parsed(answer)

    def _problem(self, random: Random) -> _Problem:
        story = random.randrange(len(STORIES["english"]))
        value = first = random.randint(12, 60)
        steps: list[Step] = []
        for _ in range(self.steps):
            before = steps[-1][0] if steps else None
            steps.append(_drawn(random, value, before))
            value = _after(value, steps[-1])
        return _Problem(story, first, tuple(steps))


def _drawn(random: Random, value: int, before: Change | None) -> Step:
    """A random change of another kind than the one before it."""
    possible = {change: found for change, found in _numbers(value).items() if found}
    change = random.choice([one for one in possible if one != before])
    return change, random.choice(possible[change])


def _numbers(value: int) -> dict[Change, list[int]]:
    """The numbers that keep each change of a value whole and within its limits."""
    return {
        "more": [n for n in range(2, 61) if value + n <= _LARGEST],
        "less": [n for n in range(2, 61) if value - n >= _LEAST],
        "times": [n for n in range(2, 6) if value * n <= _LARGEST],
        "share": [n for n in range(2, 7) if value % n == 0 and value // n >= _LEAST],
    }


def _after(value: int, step: Step) -> int:
    change, number = step
    return {
        "more": value + number,
        "less": value - number,
        "times": value * number,
        "share": value // number,
    }[change]
