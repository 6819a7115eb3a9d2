"""The length of an answer: short answers are surer, and nothing else is asked.

Published: baseline
Exact: 1 / (1 + tokens); only its order means something before a calibration.
Cost: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate, Estimate
from forethought.methods.confidence._confidence import Confidence


@dataclass(frozen=True)
class Length(Confidence):
    """One over the number of tokens; every other method must beat it."""

    def confidence(
        self, question: Question, answer: Candidate, samples: Sequence[Candidate]
    ) -> Estimate:
        """A number that falls with the length of the answer."""
        yield from ()  # makes this a generator, as every estimate is
        return 1.0 / (1.0 + answer.tokens)
