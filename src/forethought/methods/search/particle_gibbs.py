"""Run a particle filter again and again, each time beside an answer of the time before.

Paper: Particle-Based Monte Carlo for inference-time scaling, arXiv:2502.01618
Exact: with pick=draw and growing iterations, answers follow p(answer) * s / (1 - s) for any n
    of at least 2, where s is the answer's score.
Cost: a particle filter of n answers, and one of n - 1 for every further iteration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count
from forethought.contracts.search import Ability, Candidate, Search, Strategy
from forethought.methods.search._particles import sweeps


@dataclass(frozen=True)
class ParticleGibbs(Strategy):
    """Particle filters in a row, each of which keeps one answer of the last as it was."""

    n: Count = 4
    """Answers that grow side by side, the one that is kept included."""
    iterations: Count = 4
    """Filters in a row; 1 is a particle filter that copies at every step."""
    target: Literal["answer", "steps"] = "answer"
    """What a weight is made of: the odds of the newest score, or the product of all steps' odds
    (the paper's, which favours many steps where scores are above 0.5)."""
    pick: Literal["vote", "best", "draw"] = "vote"
    """The answer: what most of the weight of all filters says, the best last score, or the one
    that the last filter would hand on."""
    depth: Count = 40
    """Steps of an answer, at most; the last one runs to the end."""
    delimiter: str = "\n\n"
    """What ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Filter, keep one, filter beside it."""
        return (
            yield from sweeps(
                self,
                start,
                rng,
                n=self.n,
                temperatures=(1.0,),
                iterations=self.iterations,
                pick=self.pick,
            )
        )
