"""One needle in prose: the number that belongs to a name of two words.

Paper: RULER, niah_single_2, arXiv:2404.06654
Score: the share of the asked values that occur in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.ruler._needles import Needles
from forethought.tasks.ruler._scores import share_found


@dataclass(frozen=True)
class NiahSingle2(Task):
    """One needle in prose: the number that belongs to a name of two words."""

    tokens: Count = 2000
    """Most tokens of document and question together; the document fills them."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""
    haystack: str = "prose"
    """Text around the needles: noise, prose, or the path of a text file."""

    answer_tokens = 48

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        needles = Needles("niah-single-2", self.haystack)
        return needles.questions(self.tokens, self.count, self.seed, measure)

    def check(self, question: Question, answer: str) -> float:
        """The share of the asked values that occur in the answer."""
        return share_found(question, answer)
