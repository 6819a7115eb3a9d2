"""The likelihood of an answer per token, under the model that sampled it.

Paper: Self-Consistency, arXiv:2203.11171 (its normalised weighted sum)
Published: paper; the geometric mean of the token probabilities.
Exact: the geometric mean of the tokens' probabilities at temperature 1, the end token included.
Cost: none; the probabilities are known from decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.questions import Question
from forethought.contracts.search import Ability, Candidate, Scorer, Scores


@dataclass(frozen=True)
class Likelihood(Scorer):
    """The geometric mean of the token probabilities."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"log-probabilities"})

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """The likelihood of each candidate; 1 for an empty one."""
        yield from ()  # makes this a generator, as every scorer is
        return [one.likelihood for one in candidates]
