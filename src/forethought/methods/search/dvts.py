"""Several independent trees: each follows the best of its steps to an answer.

Paper: Diverse verifier tree search, search-and-learn, Hugging Face, 2024
Published: code; huggingface/search-and-learn, where a boxed result ends a tree too.
Exact: equals one plain sample at trees=1, width=1 and temperature=none, unless it boxes a result,
    and plain samples at width=1.
Cost: trees times width steps and scores at every depth, fewer as trees end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Delimiter, Range
from forethought.contracts.search import Ability, Candidate, Search, Strategy, Until
from forethought.methods.search._answers import budget_spent
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.methods.search._steps import next_steps, start_option

_BOX = "boxed{"


@dataclass(frozen=True)
class DVTS(Strategy):
    """Diverse verifier tree search: the leaf of highest score over all trees."""

    trees: Count = 4
    """Independent trees."""
    width: Count = 4
    """Steps sampled at each depth of a tree; the best is kept."""
    temperature: Annotated[float, Range(0, 10)] | None = 0.8
    """Sampling temperature of the steps; none for the recipe's."""
    pick: Literal["best", "vote"] = "best"
    """Choice of the answer: best score, or a vote weighted by scores."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    revision: ClassVar[int] = 2
    """In the first revision, steps had the recipe's temperature, and boxes ended no tree."""
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
            drawn = yield from next_steps(
                parents, until=until, delimiter=self.delimiter, temperature=self.temperature
            )
            older += [one for tree in growing for one in leaves.get(tree, ())]
            for place, tree in enumerate(growing):
                leaves[tree] = _ended(drawn[place * self.width : (place + 1) * self.width])
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


def _ended(steps: Sequence[AnswerOption]) -> list[AnswerOption]:
    """The steps, of which those of a text with a boxed result are finished answers."""
    return [
        replace(one, candidate=replace(one.candidate, finish="stop"))
        if not one.candidate.done and _BOX in one.candidate.text
        else one
        for one in steps
    ]
