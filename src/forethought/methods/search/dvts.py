"""Several independent trees: each follows the best of its steps to an answer.

Paper: Diverse verifier tree search, search-and-learn, Hugging Face, 2024
Published: ours; search-and-learn: a boxed result ends a tree. Here: it ends none.
Exact: equals one plain sample at trees=1 and width=1, and plain samples at width=1.
Cost: trees times width steps and scores at every depth, fewer as trees end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count
from forethought.contracts.search import Ability, Candidate, Search, Strategy, Until
from forethought.methods.search._answers import budget_spent
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.methods.search._steps import next_steps, start_option


@dataclass(frozen=True)
class DVTS(Strategy):
    """Diverse verifier tree search: the leaf of highest score over all trees."""

    trees: Count = 4
    """Independent trees."""
    width: Count = 4
    """Steps sampled at each depth of a tree; the best is kept."""
    pick: Literal["best", "vote"] = "best"
    """Choice of the answer: best score, or a vote weighted by scores."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: str = "\n\n"
    """Text that ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample steps in every tree and keep the best of each; then compare the leaves."""
        growing = {tree: start_option(start) for tree in range(self.trees)}
        leaves: dict[int, Sequence[AnswerOption]] = {}
        older: list[AnswerOption] = []
        spent = False
        for step in range(1, self.depth + 1):
            until: Until = "end" if step == self.depth else "step"
            parents = [one for one in growing.values() for _ in range(self.width)]
            drawn = yield from next_steps(parents, until=until, delimiter=self.delimiter)
            older += [one for tree in growing for one in leaves.get(tree, ())]
            for place, tree in enumerate(growing):
                leaves[tree] = drawn[place * self.width : (place + 1) * self.width]
            best = {tree: max(leaves[tree], key=lambda one: one.score) for tree in growing}
            growing = {tree: one for tree, one in best.items() if not one.candidate.done}
            spent = budget_spent(one.candidate for one in drawn)
            if spent or not growing:
                break
        options = [one for tree in sorted(leaves) for one in leaves[tree]]
        if spent:
            # Answers that lost to a partial answer may be the only finished ones.
            options += [one for one in older if one.whole]
        pruned = [one.candidate for one in older]
        return (yield from chosen(options, self.pick, rng, pruned=pruned))
