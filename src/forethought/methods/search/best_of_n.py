"""Sample several answers, and take the one of highest score.

Paper: Training Verifiers to Solve Math Word Problems, arXiv:2110.14168; weighted votes and their
    comparison at equal cost, arXiv:2408.03314; votes by rank, arXiv:2502.18581
Published: paper; the answer of highest score, and the first of equals.
Exact: equals one plain sample at n=1; with an oracle scorer, right whenever one of n is right.
Cost: n answers over one prompt, and n scores; fewer if one is good enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.parameters import Count, Range, Share
from forethought.contracts.search import Candidate, Found, Search, Strategy, group, write
from forethought.methods.search._answers import budget_spent, elected, leading, scored, unjudged
from forethought.numerics.votes import Tally, borda


@dataclass(frozen=True)
class BestOfN(Strategy):
    """The best of n answers, or the best in the group of highest total score."""

    n: Count = 8
    """Most answers sampled."""
    pick: Literal["best", "vote", "borda"] = "best"
    """Choice of the answer: best score, or a vote by scores, or by ranks (borda) for scores whose
    order alone is meaningful."""
    power: Annotated[float, Range(0, 100)] = 0.5
    """With borda, an answer of rank r weighs (1 - r/n)^power; 0 is a majority vote."""
    enough: Share | None = None
    """Stop once an answer has this score; none never stops."""
    window: Count = 1
    """Answers sampled at once if `enough` is set."""

    scores: ClassVar[bool] = True

    @property
    def draws_alike(self) -> bool:
        """Whether no score ends the sampling early."""
        return self.enough is None

    @property
    def chooses(self) -> Literal["vote", "score", ""]:
        """The score, unless there is a vote."""
        return "score" if self.pick == "best" else ""

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample, score and choose; without a budget for scores, a majority vote."""
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
            if budget_spent(drawn) or (self.enough is not None and max(scores) >= self.enough):
                break
        groups = yield from group(answers)
        tally = Tally.of(groups, self._weights(answers, scores))
        if self.pick == "best":
            # An answer cut off before it says anything loses to all others, whatever its score.
            said = [
                one if group is not None else one - 2
                for one, group in zip(scores, groups, strict=True)
            ]
            best = leading(answers, said)
        else:
            best = elected(answers, tally, scores)
        return Found(answers[best], tuple(answers), tally.weights, tally.part(best), notes=notes)

    def _weights(self, answers: Sequence[Candidate], scores: Sequence[float]) -> list[float]:
        """Weights of the votes; if all scores are 0, finished answers count equally."""
        if self.pick != "borda":
            return list(scores) if any(scores) else [float(one.whole) for one in answers]
        places = [place for place, one in enumerate(answers) if one.whole]
        weights = [0.0] * len(answers)
        ranked = borda([scores[place] for place in places], self.power)
        for place, weight in zip(places, ranked, strict=True):
            weights[place] = weight
        return weights
