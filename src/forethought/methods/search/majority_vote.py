"""Sample several answers, and take the most frequent one (self-consistency).

Paper: Self-Consistency, arXiv:2203.11171; Adaptive-Consistency, arXiv:2305.11860
Published: paper; self-consistency, without the early stop of Adaptive-Consistency.
Exact: equals one plain sample at n=1; confident=1 never stops early.
Cost: n answers over one prompt, fewer if the vote is decided early.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from forethought.contracts.parameters import Count, Share
from forethought.contracts.search import Ability, Candidate, Found, Search, Strategy, group, write
from forethought.methods.search._answers import budget_spent, elected
from forethought.numerics.votes import Tally, leader_chance


@dataclass(frozen=True)
class MajorityVote(Strategy):
    """The most frequent of n answers; of its group, the likeliest."""

    n: Count = 8
    """Most answers sampled."""
    weight: Literal["equal", "probability"] = "equal"
    """Weight of an answer: 1, or its mean token probability."""
    window: Count = 4
    """Answers sampled at once if the vote may stop early."""
    confident: Share = 1.0
    """Stop once the leading answer stays ahead with this probability; 0.95 is usual."""

    @property
    def needs(self) -> frozenset[Ability]:
        """Log-probabilities, if they weight the votes."""
        return frozenset(() if self.weight == "equal" else ("log-probabilities",))

    @property
    def draws_alike(self) -> bool:
        """Whether the vote never stops early."""
        return self.confident == 1

    @property
    def chooses(self) -> Literal["vote", "score", ""]:
        """A vote, if all answers count equally."""
        return "vote" if self.weight == "equal" else ""

    @property
    def most_answers(self) -> int:
        """n, if the vote may stop early."""
        return 0 if self.confident == 1 else self.n

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample, group and count."""
        answers: list[Candidate] = []
        while len(answers) < self.n:
            few = self.window if self.confident < 1 else self.n
            drawn = yield from write([start] * min(few, self.n - len(answers)))
            answers += drawn
            groups = yield from group(answers)
            tally = Tally.of(groups, [self._weight(one) for one in answers])
            if budget_spent(drawn) or self._decided(groups):
                break
        best = elected(answers, tally, [one.likelihood for one in answers])
        return Found(answers[best], tuple(answers), tuple(tally.weights), tally.share)

    def _weight(self, answer: Candidate) -> float:
        return 1.0 if self.weight == "equal" else answer.likelihood

    def _decided(self, groups: Sequence[int | None]) -> bool:
        """Whether more answers are unlikely to change the winner; needs at least two."""
        said = sum(group is not None for group in groups)
        return self.confident < 1 and said > 1 and leader_chance(groups) >= self.confident
