"""Keep the best beginnings of n at every step, and let them grow until n answers have ended.

Paper: Scaling LLM test-time compute optimally, arXiv:2408.03314; search-and-learn,
    Hugging Face, 2024
Exact: with n=1 it is the plain answer; with width=1 the answers are n plain ones.
Cost: n answers behind one prompt, the steps that were given up, and a score for every step.
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
from forethought.methods.search._steps import beginning, stepped, twins


@dataclass(frozen=True)
class Beam(Strategy):
    """Of n answers, each of which grew from the best beginnings, the one that scores best."""

    n: Count = 8
    """Answers, and steps drawn at each depth; one fewer for every answer that has ended."""
    width: Count = 4
    """Ways that each beginning grows: one of so many is kept, of equal texts only one if others
    are left."""
    pick: Literal["best", "vote"] = "best"
    """The answer: the best score, or what most say, each counted by its score."""
    depth: Count = 40
    """Steps of an answer, at most; the last one runs to the end."""
    delimiter: str = "\n\n"
    """What ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Draw steps, keep the best; as often as it takes."""
        beam = [beginning(start)] * self.n
        ended: list[AnswerOption] = []
        pruned: list[Candidate] = []
        for step in range(1, self.depth + 1):
            until: Until = "end" if step == self.depth else "step"
            drawn = yield from stepped(beam, until=until, delimiter=self.delimiter)
            ended += [one for one in drawn if one.candidate.done]
            growing = [one for one in drawn if not one.candidate.done]
            if cut(one.candidate for one in drawn) or not growing:
                ended += growing
                break
            places = self._best(growing)
            pruned += [one.candidate for at, one in enumerate(growing) if at not in places]
            # As many again as there were: only an answer that ended makes the beam smaller.
            beam = [growing[places[at % len(places)]] for at in range(len(growing))]
        # By path, so that of equal scores not simply the shortest answer wins.
        ended.sort(key=lambda one: one.candidate.path)
        return (yield from chosen(ended, self.pick, rng, pruned=pruned))

    def _best(self, growing: Sequence[AnswerOption]) -> list[int]:
        """Places of those that are kept, ascending."""
        again = twins(one.candidate for one in growing)
        ranked = sorted(range(len(growing)), key=lambda at: (again[at], -growing[at].score))
        return sorted(ranked[: max(1, len(growing) // self.width)])
