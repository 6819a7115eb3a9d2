"""Keep the best few beginnings, and let each grow several ways; an ended answer leaves the beam.

Paper: AlphaMath, arXiv:2405.03553 (step-level beam search)
Exact: with width=1 and n=1 it is the plain answer, step by step.
Cost: width times n steps and scores at every depth, fewer as answers end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from forethought.contracts.parameters import Count
from forethought.contracts.search import (
    Ability,
    Candidate,
    Found,
    Search,
    Strategy,
    Until,
    score,
    write,
)
from forethought.methods.search._steps import twins


@dataclass(frozen=True)
class StepBeam(Strategy):
    """Of all that ended, the answer that scores best."""

    width: Count = 2
    """Beginnings kept at the start; one fewer for every answer that ended."""
    n: Count = 4
    """Steps drawn behind each; equal ones count once."""
    depth: Count = 40
    """Steps of an answer, at most; the last one runs to the end."""
    delimiter: str = "\n\n"
    """What ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Draw steps, score them, keep the best; as often as it takes."""
        beam, width = [start] * self.width, self.width
        ended: list[tuple[float, Candidate]] = []
        pruned: list[Candidate] = []
        for depth in range(self.depth):
            until: Until = "end" if depth == self.depth - 1 else "step"
            drawn = yield from write(
                [one for one in beam for _ in range(self.n)], until=until, delimiter=self.delimiter
            )
            fresh = [one for one, again in zip(drawn, twins(drawn), strict=True) if not again]
            values = yield from score(fresh)
            ranked = sorted(zip(values, fresh, strict=True), key=lambda pair: -pair[0])
            kept, others = ranked[:width], ranked[width:]
            ended += [pair for pair in kept if pair[1].done]
            pruned += [one for _, one in others]
            beam = [one for _, one in kept if not one.done]
            width -= sum(one.done for _, one in kept)
            if not beam:
                break
        best = max(ended, key=lambda pair: (pair[1].finish != "budget", pair[0]))[1]
        weights, answers = zip(*ended, strict=True)
        return Found(best, answers, weights, pruned=tuple(pruned))
