"""Grow answers step by step; copy those that score well, and drop the others.

Paper: Particle-Based Monte Carlo for inference-time scaling, arXiv:2502.01618
Exact: with n=1 it is the plain answer; with pick=draw and growing n, answers follow
    p(answer) * s / (1 - s), where s is the answer's score.
Cost: n answers behind one prompt, and a score for each of their steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Share
from forethought.contracts.search import Ability, Candidate, Search, Strategy
from forethought.methods.search._choice import chosen
from forethought.methods.search._particles import Particle, ParticleSet, grow


@dataclass(frozen=True)
class ParticleFilter(Strategy):
    """A population of answers, weighed by the odds of their scores."""

    n: Count = 8
    """Answers that grow side by side."""
    target: Literal["answer", "steps"] = "answer"
    """What a weight is made of: the odds of the newest score, or the product of all steps' odds
    (the paper's, which favours many steps where scores are above 0.5)."""
    resample_below: Share = 0.5
    """Copies are made once the effective count falls below this share of n; 1 for every step."""
    pick: Literal["vote", "best", "draw"] = "vote"
    """The answer: what most of the weight says, the best last score, or a draw by weight."""
    depth: Count = 40
    """Steps of an answer, at most; the last one runs to the end."""
    delimiter: str = "\n\n"
    """What ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Grow, weigh, copy; then choose."""
        swarm = ParticleSet([Particle((start,))] * self.n)
        yield from grow(self, [swarm], self.resample_below, rng)
        dropped = [one.here for one in swarm.dropped if not one.here.done]
        return (yield from chosen(swarm.options(1.0), self.pick, rng, pruned=dropped))
