"""Run particle filters in sequence, each conditioned on an answer of the previous one.

Paper: Particle-Based Monte Carlo for inference-time scaling, arXiv:2502.01618
Published: ours (general name); Code: one iteration, and the reference is weighed by its next
    step. Here: four iterations and a vote, and the reference is weighed by its own step.
Exact: with pick=draw and more iterations, answers approach a law for any n of at least 2: with
    target=answer p(answer) * s / (1 - s), where s is the answer's score, and with target=steps
    p(answer) times the odds of all its steps; target=newest likewise for equally many steps.
Cost: a particle filter of n answers, and one of n - 1 for every further iteration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Delimiter, Range
from forethought.contracts.search import Ability, Candidate, Search, Strategy
from forethought.methods.search._particles import sweeps


@dataclass(frozen=True)
class ParticleGibbs(Strategy):
    """Iterated conditional SMC: each filter keeps one particle of the last as its reference."""

    n: Count = 4
    """Particles, the reference included."""
    iterations: Count = 4
    """Particle filters in sequence; 1, as the authors' script has it, is `particle-filter`."""
    target: Literal["newest", "steps", "answer"] = "newest"
    """Weights: as in `particle-filter`; the product of all steps' odds; or the odds of the newest
    score."""
    temperature: Annotated[float, Range(0, 10)] | None = 0.8
    """Sampling temperature of the steps; none for the recipe's."""
    pick: Literal["vote", "best", "draw"] = "vote"
    """Choice of the answer: weighted vote over all filters, best last score, or the next
    reference."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    revision: ClassVar[int] = 2
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
