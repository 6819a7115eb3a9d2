"""The base of confidence methods: an estimate of one answer, which serves as a score too."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from forethought.contracts.questions import Question
from forethought.contracts.search import (
    Ask,
    Candidate,
    Estimate,
    Scorer,
    Scores,
    write,
)

WARM = 1.0
"""Temperature of the samples that a confidence method draws itself."""


class Confidence(Scorer):
    """Says how sure an answer is; a search may rank candidates by it."""

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """How sure an answer is; `samples` are all answers to the question, this one included."""
        raise NotImplementedError

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """The confidence of each candidate among all of them; 0 where there is none."""
        found = []
        for one in candidates:
            value = yield from self.confidence(question, one, candidates)
            found.append(value or 0.0)
        return found


def others(answer: Candidate, samples: Sequence[Candidate]) -> list[Candidate]:
    """The samples without the answer itself, in order."""
    return [one for one in samples if one.identity != answer.identity]


def with_more(
    question: Question, answer: Candidate, samples: Sequence[Candidate], count: int
) -> Generator[Ask, Any, list[Candidate]]:
    """`count` other answers to the question: the given ones first, and new samples for the rest."""
    known = others(answer, samples)[:count]
    if len(known) == count:
        return known
    start = Candidate(asked=answer.asked or question.asked)
    fresh = yield from write([start] * (count - len(known)), temperature=WARM)
    return known + fresh
