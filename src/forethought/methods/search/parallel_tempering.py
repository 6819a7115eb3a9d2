"""Several chains of particle filters, from strict to lenient, that trade the answers they keep.

Paper: Particle-Based Monte Carlo for inference-time scaling, arXiv:2502.01618
Exact: with pick=draw and growing iterations, answers follow p(answer) * s / (1 - s) for any n
    of at least 2, where s is the answer's score.
Cost: that of particle Gibbs, times the chains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Range
from forethought.contracts.search import Ability, Candidate, Search, Strategy
from forethought.methods.search._particles import sweeps


@dataclass(frozen=True)
class ParallelTempering(Strategy):
    """Particle Gibbs at several temperatures of the weights; the answer is the strictest's."""

    n: Count = 4
    """Answers that grow side by side in each chain, the one that is kept included."""
    chains: Count = 3
    """Temperatures, from 1 up in equal ratios."""
    hottest: Annotated[float, Range(1, 1000)] = 4.0
    """The last chain's temperature; at 1000 it hardly minds the scores."""
    iterations: Count = 4
    """Filters in a row, in each chain."""
    target: Literal["answer", "steps"] = "answer"
    """What a weight is made of: the odds of the newest score, or the product of all steps' odds
    (the paper's, which favours many steps where scores are above 0.5)."""
    pick: Literal["vote", "best", "draw"] = "vote"
    """The answer: what most of the weight in the first chain says, the best last score of any
    chain, or the one that the first chain would hand on."""
    depth: Count = 40
    """Steps of an answer, at most; the last one runs to the end."""
    delimiter: str = "\n\n"
    """What ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Filter in every chain, keep one in each, trade, filter beside it."""
        return (
            yield from sweeps(
                self,
                start,
                rng,
                n=self.n,
                temperatures=self.temperatures,
                iterations=self.iterations,
                pick=self.pick,
            )
        )

    @property
    def temperatures(self) -> tuple[float, ...]:
        """By chain, ascending."""
        return tuple(float(one) for one in np.geomspace(1.0, self.hottest, self.chains))
