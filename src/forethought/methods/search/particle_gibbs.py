"""Run particle filters in sequence, each conditioned on an answer of the previous one.

Paper: Particle-Based Monte Carlo for inference-time scaling, arXiv:2502.01618
Published: ours; particle filters with the weights of particle-filter.
Exact: with pick=draw and more iterations, answers approach p(answer) * s / (1 - s) for any n of
    at least 2, where s is the answer's score.
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
    """Iterated conditional SMC: each filter keeps one particle of the last as its reference."""

    n: Count = 4
    """Particles, the reference included."""
    iterations: Count = 4
    """Particle filters in sequence; 1 is a particle filter that resamples at every step."""
    target: Literal["answer", "steps"] = "answer"
    """Weight of a particle: the odds of the newest score, or the product of all steps' odds. The
    product is the paper's; it favours many steps when scores exceed 0.5."""
    pick: Literal["vote", "best", "draw"] = "vote"
    """Choice of the answer: weighted vote over all filters, best last score, or the next
    reference."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: str = "\n\n"
    """Text that ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Filter, draw a reference, and filter again."""
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
