"""Sequential Monte Carlo over partial answers: resample when the effective sample size is low.

Paper: Particle-Based Monte Carlo for inference-time scaling, arXiv:2502.01618
Published: ours (general name); Paper: multinomial resampling at every step. Here: weights carry
    over, odds count once, and resampling is systematic, when the effective sample size is below
    half of the particles.
Exact: equals one plain sample at n=1; with pick=draw and larger n, answers approach
    p(answer) * s / (1 - s), where s is the answer's score.
Cost: n answers over one prompt, and a score for each of their steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Delimiter, Range, Share
from forethought.contracts.search import Ability, Candidate, Search, Strategy
from forethought.methods.search._choice import chosen
from forethought.methods.search._particles import Particle, ParticleSet, grow


@dataclass(frozen=True)
class SMC(Strategy):
    """A particle filter that counts the odds of each score once, whatever an answer's length."""

    n: Count = 8
    """Particles."""
    target: Literal["answer", "steps"] = "answer"
    """Weight of a particle: the odds of the newest score, or the product of all steps' odds. The
    product favours many steps when scores exceed 0.5."""
    resample_below: Share = 0.5
    """Resample once the effective sample size is below this share of n; 1 for every step."""
    pick: Literal["vote", "best", "draw"] = "vote"
    """Choice of the answer: weighted vote, best last score, or a draw by weight."""
    temperature: Annotated[float, Range(0, 10)] | None = None
    """Sampling temperature of the steps; none for the recipe's."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Extend, weight and resample; then choose."""
        particle_set = ParticleSet([Particle((start,))] * self.n)
        yield from grow(self, [particle_set], self.resample_below, rng)
        options = [*particle_set.options(1.0), *particle_set.lost()]
        dropped = [one.here for one in particle_set.dropped if not one.here.done]
        return (yield from chosen(options, self.pick, rng, pruned=dropped))
