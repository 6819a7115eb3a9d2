"""Extend answers step by step, and resample them by their scores at every step.

Paper: Particle-Based Monte Carlo for inference-time scaling, arXiv:2502.01618; settings of the
    authors' code (probabilistic-inference-scaling)
Published: code; multinomial resampling at every step by the odds of the newest scores.
Exact: equals one plain sample at n=1. As n grows, a draw among answers of equally many steps
    approaches p(answer) times the odds of the scores of all its steps.
Cost: n answers over one prompt, and a score for each of their steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Delimiter, Range
from forethought.contracts.search import Ability, Candidate, Search, Strategy
from forethought.methods.search._choice import chosen
from forethought.methods.search._particles import ALWAYS, Particle, ParticleSet, grow
from forethought.numerics.resampling import multinomial


@dataclass(frozen=True)
class ParticleFilter(Strategy):
    """A particle filter over answers: each step resamples them by the odds of their newest scores.

    Resampling is multinomial. Finished answers compete with unfinished ones by their last score,
    at every later step. So an early end counts its odds several times; `smc` counts them once.
    """

    n: Count = 4
    """Particles."""
    temperature: Annotated[float, Range(0, 10)] | None = 0.8
    """Sampling temperature of the steps; none for the recipe's."""
    pick: Literal["best", "vote", "draw"] = "best"
    """Choice of the answer among the last particles: best last score, weighted vote, or a draw by
    weight."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    revision: ClassVar[int] = 2
    target: ClassVar[str] = "newest"
    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Extend, weight and resample; then choose."""
        particle_set = ParticleSet([Particle((start,))] * self.n, scheme=multinomial)
        yield from grow(self, [particle_set], ALWAYS, rng)
        options = list(particle_set.options(1.0))
        if not any(one.whole for one in options):  # the budget cut all of them short
            options += particle_set.lost()
        dropped = [one.here for one in particle_set.dropped]
        return (yield from chosen(options, self.pick, rng, pruned=dropped))
