"""Several chains of particle filters, from strict to lenient, that swap their references.

Paper: Particle-Based Monte Carlo for inference-time scaling, arXiv:2502.01618
Published: ours (general name); Code: no parallel tempering. Here: chains, temperatures and
    iterations are not tuned.
Exact: with pick=draw and more iterations, answers approach a law for any n of at least 2: with
    target=answer p(answer) * s / (1 - s), where s is the answer's score, and with target=steps
    p(answer) times the odds of all its steps; target=newest likewise for equally many steps.
Cost: that of particle Gibbs, times the chains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Delimiter, Range
from forethought.contracts.search import Ability, Candidate, Search, Strategy
from forethought.methods.search._particles import sweeps


@dataclass(frozen=True)
class ParallelTempering(Strategy):
    """Particle Gibbs at several temperatures of the weights; the first chain answers."""

    n: Count = 4
    """Particles of each chain, the reference included."""
    chains: Count = 3
    """Chains, at temperatures from 1 to hottest in equal ratios."""
    hottest: Annotated[float, Range(1, 1000)] = 4.0
    """Temperature of the last chain; 1000 all but ignores the scores."""
    iterations: Count = 4
    """Particle filters in sequence, in each chain."""
    target: Literal["newest", "steps", "answer"] = "newest"
    """Weights: as in `particle-filter`; the product of all steps' odds; or the odds of the newest
    score."""
    temperature: Annotated[float, Range(0, 10)] | None = 0.8
    """Sampling temperature of the steps; none for the recipe's."""
    pick: Literal["vote", "best", "draw"] = "vote"
    """Choice of the answer: weighted vote of the first chain, best score of any chain, or the
    next reference of the first chain."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    revision: ClassVar[int] = 2
    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Filter in every chain, draw references, swap them, and filter again."""
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
        """The temperature of each chain, ascending."""
        return tuple(float(one) for one in np.geomspace(1.0, self.hottest, self.chains))
