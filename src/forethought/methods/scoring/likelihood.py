"""How likely the model itself finds its words: the mean probability of a token.

Paper: Self-Consistency, arXiv:2203.11171 (the normalised weights of its table of votes)
Exact: the geometric mean of the tokens' probabilities at temperature 1, the end counted as one.
Cost: none; what the model gave while it wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Scorer, Scores


@dataclass(frozen=True)
class Likelihood(Scorer):
    """The tokens' mean probability, whatever the length."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"log-probabilities"})

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """A number for each candidate; 1 where nothing is written yet."""
        yield from ()  # a scorer is a generator, even where it asks nothing
        return [one.likelihood for one in candidates]
