"""Keep the best few beginnings, and let each grow several ways; an ended answer leaves the beam.

Paper: AlphaMath, arXiv:2405.03553 (step-level beam search)
Exact: with width=1 and n=1 it is the plain answer, step by step; where all steps score alike, its
    answers follow the law of plain ones.
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
    Search,
    Strategy,
    Until,
    write,
)
from forethought.methods.search._answers import cut
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.methods.search._steps import beginning, twins, valued


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
        beam, width = [beginning(start)] * self.width, self.width
        ended: list[AnswerOption] = []
        worse: list[AnswerOption] = []
        pruned: list[Candidate] = []
        for depth in range(self.depth):
            until: Until = "end" if depth == self.depth - 1 else "step"
            parents = [one for one in beam for _ in range(self.n)]
            drawn = yield from write(
                [one.candidate for one in parents], until=until, delimiter=self.delimiter
            )
            again = twins(drawn)
            pruned += [one for one, twin in zip(drawn, again, strict=True) if twin]
            fresh = [at for at, twin in enumerate(again) if not twin]
            found = yield from valued([parents[at] for at in fresh], [drawn[at] for at in fresh])
            if cut(drawn):
                # Answers worth less than a beginning beside them may now be all there is.
                ended += found + [one for one in worse if one.whole]
                break
            ranked = sorted(found, key=lambda one: -one.score)
            kept = ranked[:width]
            worse += ranked[width:]
            ended += [one for one in kept if one.candidate.done]
            beam = [one for one in kept if not one.candidate.done]
            width -= len(kept) - len(beam)
            if not beam:
                break
        # By path, so that of equal scores not simply the shortest answer wins.
        ended.sort(key=lambda one: one.candidate.path)
        pruned += [one.candidate for one in worse]
        return (yield from chosen(ended, "best", rng, pruned=pruned))
