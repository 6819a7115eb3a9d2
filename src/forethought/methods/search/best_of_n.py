"""Draw several answers, and take the one that the scorer likes most.

Paper: Training Verifiers to Solve Math Word Problems, arXiv:2110.14168; weighted votes and their
    comparison at equal cost, arXiv:2408.03314
Exact: with n=1 it is the plain answer; by a scorer that knows, right wherever one of n is.
Cost: n answers behind one prompt, and n scores; fewer where one is good enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, Share
from forethought.contracts.search import Candidate, Found, Search, Strategy, group, write
from forethought.methods.search._answers import cut, elected, leading, scored, unjudged
from forethought.numerics.votes import Tally


@dataclass(frozen=True)
class BestOfN(Strategy):
    """The best of n answers, or the best of those that agree on what scores most together."""

    n: Count = 8
    """Answers drawn, at most."""
    pick: Literal["best", "vote"] = "best"
    """The answer of the best score, or of those whose scores sum to most, their best."""
    enough: Share | None = None
    """Stop once an answer scores this much; never where none."""
    window: Count = 1
    """Answers drawn at once where a good one is enough."""

    scores: ClassVar[bool] = True

    @property
    def draws_alike(self) -> bool:
        """Unless one that is good enough ends it."""
        return self.enough is None

    @property
    def chooses(self) -> Literal["vote", "score", ""]:
        """By the score, where there is no vote."""
        return "score" if self.pick == "best" else ""

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Draw, score and choose; without a budget for scores, a majority vote."""
        few = self.n if self.enough is None else self.window
        answers: list[Candidate] = []
        scores: list[float] = []
        notes: tuple[str, ...] = ()
        while len(answers) < self.n:
            drawn = yield from write([start] * min(few, self.n - len(answers)))
            answers += drawn
            try:
                scores += yield from scored(drawn)
            except BudgetSpentError as error:
                if not scores:
                    return (yield from unjudged(answers, error.message))
                notes = (error.message,)
                scores += [0.0] * len(drawn)
                break
            if cut(drawn) or (self.enough is not None and max(scores) >= self.enough):
                break
        groups = yield from group(answers)
        tally = Tally.of(groups, _weights(answers, scores))
        vote = self.pick == "vote"
        best = elected(answers, tally, scores) if vote else leading(answers, scores)
        return Found(answers[best], tuple(answers), tally.weights, tally.part(best), notes=notes)


def _weights(answers: list[Candidate], scores: list[float]) -> list[float]:
    """The scores; where all are 0, whole answers count the same, as in any vote."""
    return scores if any(scores) else [float(one.whole) for one in answers]
