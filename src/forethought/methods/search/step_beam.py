"""Keep the best few partial answers, and sample several steps after each.

Paper: AlphaMath, arXiv:2405.03553 (step-level beam search)
Published: ours (general name); Paper: 5 steps of thought and code after each answer, at most 10
    steps, and no answer beyond them. Here: 4 and 40, of text, and the last step runs to the end.
Exact: equals one plain sample, drawn step by step, at width=1 and n=1; with equal scores, answers
    have the distribution of plain samples.
Cost: width times n steps and scores at every depth, fewer as answers end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from forethought.contracts.parameters import Count, Delimiter
from forethought.contracts.search import (
    Ability,
    Candidate,
    Search,
    Strategy,
    Until,
    write,
)
from forethought.methods.search._answers import budget_spent
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.methods.search._steps import duplicates, scored_children, start_option


@dataclass(frozen=True)
class StepBeam(Strategy):
    """Step-level beam search: the finished answer of highest score."""

    width: Count = 2
    """Partial answers kept; one fewer for every finished answer."""
    n: Count = 4
    """Steps sampled after each partial answer; equal steps count once."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample steps, score them and keep the best, until every answer ends."""
        beam, width = [start_option(start)] * self.width, self.width
        ended: list[AnswerOption] = []
        worse: list[AnswerOption] = []
        pruned: list[Candidate] = []
        for depth in range(self.depth):
            until: Until = "end" if depth == self.depth - 1 else "step"
            parents = [one for one in beam for _ in range(self.n)]
            drawn = yield from write(
                [one.candidate for one in parents], until=until, delimiter=self.delimiter
            )
            again = duplicates(drawn)
            pruned += [one for one, duplicate in zip(drawn, again, strict=True) if duplicate]
            fresh = [at for at, duplicate in enumerate(again) if not duplicate]
            found = yield from scored_children(
                [parents[at] for at in fresh], [drawn[at] for at in fresh]
            )
            if budget_spent(drawn):
                # Answers that lost to a partial answer may be the only finished ones.
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
        # Sorted by path, so that ties do not go to the shortest answer.
        ended.sort(key=lambda one: one.candidate.path)
        pruned += [one.candidate for one in worse]
        return (yield from chosen(ended, "best", rng, pruned=pruned))
