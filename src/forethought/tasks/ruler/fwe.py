"""The three most frequent words of a text of coded words with steep frequencies.

Paper: RULER, frequent words extraction, arXiv:2404.06654
Score: the share of the three words that occur in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase
from typing import Annotated

from forethought.contracts.parameters import Count, CountOrZero, Range
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.ruler._length import dice, fitted
from forethought.tasks.ruler._scores import share_found

_VOCABULARY = 2000


@dataclass(frozen=True)
class FrequentWords(Task):
    """Coded words drawn by rank with frequency rank^-alpha; dots take the first rank."""

    tokens: Count = 2000
    """Most tokens of document and question together; the document fills them."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""
    alpha: Annotated[float, Range(1, 5)] = 2.0
    """Steepness, 1 to 5: the r-th word has a frequency proportional to r^-alpha."""

    answer_tokens = 50

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for number in range(self.count):
            yield self._question(number, measure)

    def check(self, question: Question, answer: str) -> float:
        """The share of the three words that occur in the answer."""
        return share_found(question, answer)

    def _question(self, number: int, measure: Measure) -> Question:
        coded = _coded_words(dice("fwe", self.seed, number))
        weights = [rank**-self.alpha for rank in range(1, _VOCABULARY + 1)]

        def made(length: int) -> Question:
            words = _text(coded, _counts(weights, length))
            dice("fwe order", self.seed, number).shuffle(words)
            return Question(
                identifier=f"fwe-{number}",
                text=(
                    "The coded text above is made of words without meaning; ignore the dots '....'."
                    " What are the three most frequent words? "
                    "Answer with the three words only, separated by commas."
                ),
                document=" ".join(words),
                answers=tuple(coded[1:4]),
            )

        return fitted(made, self.tokens, measure, least=_least(weights))


def _coded_words(random: Random) -> list[str]:
    """Distinct words of six letters, after the dots that take the first rank."""
    seen = {"....": None}
    while len(seen) < _VOCABULARY:
        seen["".join(random.choices(ascii_lowercase, k=6))] = None
    return list(seen)


def _counts(weights: list[float], length: int) -> list[int]:
    """The count of each rank in a text of about `length` words, rounded down."""
    total = sum(weights)
    return [int(length * weight / total) for weight in weights]


def _text(coded: list[str], counts: list[int]) -> list[str]:
    return [word for word, times in zip(coded, counts, strict=True) for _ in range(times)]


def _least(weights: list[float]) -> int:
    """The length from which the fourth rank always outnumbers the fifth."""
    return int(2 * sum(weights) / (weights[3] - weights[4])) + 1
