"""Draw several answers, and take the one that the scorer likes most.

Paper: Training Verifiers to Solve Math Word Problems, arXiv:2110.14168; weighted votes and their
    comparison at equal cost, arXiv:2408.03314; votes by rank, arXiv:2502.18581
Exact: with n=1 it is the plain answer; by a scorer that knows, right wherever one of n is.
Cost: n answers behind one prompt, and n scores; fewer where one is good enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, Range, Share
from forethought.contracts.search import Candidate, Found, Search, Strategy, group, write
from forethought.methods.search._answers import cut, elected, leading, scored, unjudged
from forethought.numerics.votes import Tally, borda


@dataclass(frozen=True)
class BestOfN(Strategy):
    """The best of n answers, or the best of those that agree on what scores most together."""

    n: Count = 8
    """Answers drawn, at most."""
    pick: Literal["best", "vote", "borda"] = "best"
    """The answer of the best score, or of those whose scores sum to most, their best; or whose
    weights by rank do, for scores that are only good for an order."""
    power: Annotated[float, Range(0, 100)] = 0.5
    """With borda: what is behind r others of n weighs (1 - r/n)^power; 0 is a majority vote."""
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
        tally = Tally.of(groups, self._weights(answers, scores))
        if self.pick == "best":
            # What was cut off before it said anything is no answer, however it scores.
            said = [
                one if group is not None else one - 2
                for one, group in zip(scores, groups, strict=True)
            ]
            best = leading(answers, said)
        else:
            best = elected(answers, tally, scores)
        return Found(answers[best], tuple(answers), tally.weights, tally.part(best), notes=notes)

    def _weights(self, answers: Sequence[Candidate], scores: Sequence[float]) -> list[float]:
        """What each counts for; where all scores are 0, as in any vote, whole answers the same."""
        if self.pick != "borda":
            return list(scores) if any(scores) else [float(one.whole) for one in answers]
        places = [place for place, one in enumerate(answers) if one.whole]
        weights = [0.0] * len(answers)
        ranked = borda([scores[place] for place in places], self.power)
        for place, weight in zip(places, ranked, strict=True):
            weights[place] = weight
        return weights
