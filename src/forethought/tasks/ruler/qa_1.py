"""A question that one paragraph answers, among paragraphs of the same form.

Paper: RULER, qa_1 (there SQuAD; here a made-up world), arXiv:2404.06654
Score: 1 if the reference occurs in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.ruler._documents import Documents
from forethought.tasks.ruler._scores import any_found


@dataclass(frozen=True)
class OneDocument(Task):
    """A question that one paragraph answers, among paragraphs of the same form."""

    tokens: Count = 2000
    """Most tokens of document and question together; the document fills them."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""

    answer_tokens = 32

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        return Documents("qa-1", hops=1).questions(self.tokens, self.count, self.seed, measure)

    def check(self, question: Question, answer: str) -> float:
        """1 if the reference occurs in the answer, else 0."""
        return any_found(question, answer)
