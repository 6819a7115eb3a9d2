"""A long numbered list of words: which ten stand in it most often.

Paper: RULER, common words extraction, arXiv:2404.06654
Score: the share of the common words that stand in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.ruler._haystack import growing
from forethought.tasks.ruler._length import dice, fitted
from forethought.tasks.ruler._scores import share_found
from forethought.tasks.ruler._vocabulary import ADJECTIVES, NOUNS, PEOPLE, PLACES

_LONG = 4096
"""Lists shorter than this repeat words less often, as RULER's do."""


@dataclass(frozen=True)
class CommonWords(Task):
    """Ten words many times and all others a few times, shuffled into a numbered list."""

    tokens: Count = 2000
    """Most tokens of document and question together; as many as fit are used."""
    count: Count = 10
    """How many questions; asking for more keeps the first ones."""
    seed: CountOrZero = 0
    """Other seeds give other questions."""
    common: Count | None = None
    """How often each common word stands there; none: 30, or 6 below 4,096 tokens."""
    uncommon: Count | None = None
    """How often each other word stands there; none: 3, or 1 below 4,096 tokens."""
    wanted: Count = 10
    """How many common words there are."""

    answer_tokens = 120

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for number in range(self.count):
            yield self._question(number, measure)

    def check(self, question: Question, answer: str) -> float:
        """The share of the common words that stand in the answer."""
        return share_found(question, answer)

    def _question(self, number: int, measure: Measure) -> Question:
        words = _words(dice("cwe", self.seed, number))
        apart = _Apart()
        # More than could stand in the list need not be found to see that they do not fit.
        common = [*islice(filter(apart.add, words), min(self.wanted, self.tokens + 1))]
        others = growing(word for word in words if not apart.overlaps(word))

        def made(length: int) -> Question:
            return Question(
                identifier=f"cwe-{number}",
                text=self._text(),
                document=self._list(common, others(length), dice("cwe order", self.seed, number)),
                answers=tuple(common),
            )

        return fitted(made, self.tokens, measure, least=1)

    def _list(self, common: list[str], others: list[str], random: Random) -> str:
        long = self.tokens >= _LONG
        often, seldom = self.common or (30 if long else 6), self.uncommon or (3 if long else 1)
        words = common * often + others * seldom
        random.shuffle(words)
        return " ".join(f"{number}. {word}" for number, word in enumerate(words, start=1))

    def _text(self) -> str:
        return (
            f"In the numbered list of words above, {self.wanted} words appear much more often than "
            f"all others. What are these {self.wanted} most common words? "
            "Answer with the words only, separated by commas."
        )


def _words(random: Random) -> Iterator[str]:
    """Words without end, none twice: real ones, then made-up ones of four syllables."""
    real = sorted({*ADJECTIVES, *NOUNS, *PEOPLE, *PLACES})
    random.shuffle(real)
    yield from real
    seen = set(real)
    while True:
        syllables = (random.choice("bdfgklmnprstvz") + random.choice("aeiou") for _ in range(4))
        if (word := "".join(syllables)) not in seen:
            seen.add(word)
            yield word


class _Apart:
    """Words of which none stands in another, as a reference is looked for inside the answer."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._pieces: set[str] = set()

    def add(self, word: str) -> bool:
        """Take the word in, unless it overlaps with one that is in."""
        if self.overlaps(word):
            return False
        self._words.add(word)
        self._pieces |= _pieces(word)
        return True

    def overlaps(self, word: str) -> bool:
        """Whether the word stands in one of these, or one of these in it."""
        return word in self._pieces or not self._words.isdisjoint(_pieces(word))


def _pieces(word: str) -> set[str]:
    return {word[a:b] for b in range(1, len(word) + 1) for a in range(b)}
