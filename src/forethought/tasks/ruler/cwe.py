"""The ten most common words of a long numbered list.

Paper: RULER, common words extraction, arXiv:2404.06654
Score: the share of the common words that occur in the answer.
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
"""Lists shorter than this repeat words less often, as in RULER."""


@dataclass(frozen=True)
class CommonWords(Task):
    """Common words many times and other words a few times, shuffled into a numbered list."""

    tokens: Count = 2000
    """Most tokens of document and question together; the document fills them."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""
    common: Count | None = None
    """Repetitions of each common word; none: 30, or 6 below 4,096 tokens."""
    uncommon: Count | None = None
    """Repetitions of each other word; none: 3, or 1 below 4,096 tokens."""
    wanted: Count = 10
    """Number of common words."""

    answer_tokens = 120

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for number in range(self.count):
            yield self._question(number, measure)

    def check(self, question: Question, answer: str) -> float:
        """The share of the common words that occur in the answer."""
        return share_found(question, answer)

    def _question(self, number: int, measure: Measure) -> Question:
        words = _distinct_words(dice("cwe", self.seed, number))
        apart = _NonOverlappingWords()
        # One word more than fits is enough to detect that they do not fit.
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


def _distinct_words(random: Random) -> Iterator[str]:
    """Distinct words without end: real ones, then generated ones of four syllables."""
    real = sorted({*ADJECTIVES, *NOUNS, *PEOPLE, *PLACES})
    random.shuffle(real)
    yield from real
    seen = set(real)
    while True:
        syllables = (random.choice("bdfgklmnprstvz") + random.choice("aeiou") for _ in range(4))
        if (word := "".join(syllables)) not in seen:
            seen.add(word)
            yield word


class _NonOverlappingWords:
    """Words of which none contains another, since scores look for substrings."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._substrings: set[str] = set()

    def add(self, word: str) -> bool:
        """Add the word, unless it overlaps one already added."""
        if self.overlaps(word):
            return False
        self._words.add(word)
        self._substrings |= _substrings(word)
        return True

    def overlaps(self, word: str) -> bool:
        """Whether the word contains, or lies in, an added word."""
        return word in self._substrings or not self._words.isdisjoint(_substrings(word))


def _substrings(word: str) -> set[str]:
    return {word[a:b] for b in range(1, len(word) + 1) for a in range(b)}
