"""Several trees that never compete: each follows the best of its steps down to an answer.

Paper: Diverse verifier tree search, search-and-learn, Hugging Face, 2024
Exact: with trees=1 and width=1 it is the plain answer; with width=1 they are plain answers.
Cost: trees times width steps and scores at every depth, fewer as trees end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count
from forethought.contracts.search import Ability, Candidate, Search, Strategy, Until
from forethought.methods.search._answers import cut
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.methods.search._steps import beginning, stepped


@dataclass(frozen=True)
class DVTS(Strategy):
    """Of all trees' last leaves, the one that scores best."""

    trees: Count = 4
    """Searches side by side."""
    width: Count = 4
    """Steps drawn at each depth of a tree, the best of which is kept."""
    pick: Literal["best", "vote"] = "best"
    """The answer: the best score, or what most say, each counted by its score."""
    depth: Count = 40
    """Steps of an answer, at most; the last one runs to the end."""
    delimiter: str = "\n\n"
    """What ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Draw steps in every tree, keep the best of each; then compare the leaves."""
        growing = {tree: beginning(start) for tree in range(self.trees)}
        leaves: dict[int, Sequence[AnswerOption]] = {}
        older: list[AnswerOption] = []
        spent = False
        for step in range(1, self.depth + 1):
            until: Until = "end" if step == self.depth else "step"
            parents = [one for one in growing.values() for _ in range(self.width)]
            drawn = yield from stepped(parents, until=until, delimiter=self.delimiter)
            older += [one for tree in growing for one in leaves.get(tree, ())]
            for place, tree in enumerate(growing):
                leaves[tree] = drawn[place * self.width : (place + 1) * self.width]
            best = {tree: max(leaves[tree], key=lambda one: one.score) for tree in growing}
            growing = {tree: one for tree, one in best.items() if not one.candidate.done}
            spent = cut(one.candidate for one in drawn)
            if spent or not growing:
                break
        options = [one for tree in sorted(leaves) for one in leaves[tree]]
        if spent:
            # Answers that were worth less than a beginning beside them may now be all there is.
            options += [one for one in older if one.whole]
        pruned = [one.candidate for one in older]
        return (yield from chosen(options, self.pick, rng, pruned=pruned))
