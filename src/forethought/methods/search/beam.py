"""Keep the best partial answers at every step, and extend them until n answers end.

Paper: Scaling LLM test-time compute optimally, arXiv:2408.03314; search-and-learn,
    Hugging Face, 2024
Published: ours (general name); `refill=true` follows search-and-learn, but drops duplicate beams
    and ranks the n best answers.
Exact: equals one plain sample at n=1 and, without refill, n plain samples at width=1.
Cost: n answers over one prompt, the abandoned steps, and a score for every step; with refill, n
    steps and scores at every depth until no partial answer is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count, Delimiter
from forethought.contracts.search import Ability, Candidate, Search, Strategy, Until
from forethought.methods.search._answers import budget_spent
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.methods.search._steps import duplicates, next_steps, start_option


@dataclass(frozen=True)
class Beam(Strategy):
    """Beam search over steps: the answer of highest score among n."""

    n: Count = 8
    """Answers, and steps sampled at each depth; without refill, one fewer for every finished
    answer."""
    width: Count = 4
    """Continuations sampled per beam: one in `width` is kept. Duplicates are dropped while others
    remain."""
    refill: bool = False
    """Sample n steps at every depth, as search-and-learn does: finished answers make the beam no
    smaller, and the n best of them count."""
    pick: Literal["best", "vote"] = "best"
    """Choice of the answer: best score, or a vote weighted by scores."""
    depth: Count = 40
    """Most steps of an answer; the last step runs to the end."""
    delimiter: Delimiter = "\n\n"
    """Text that ends a step."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"steps"})
    scores: ClassVar[bool] = True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample steps and keep the best, until every answer ends."""
        beam = [start_option(start)] * self.n
        ended: list[AnswerOption] = []
        pruned: list[Candidate] = []
        for step in range(1, self.depth + 1):
            until: Until = "end" if step == self.depth else "step"
            drawn = yield from next_steps(beam, until=until, delimiter=self.delimiter)
            ended += [one for one in drawn if one.candidate.done]
            growing = [one for one in drawn if not one.candidate.done]
            if budget_spent(one.candidate for one in drawn) or not growing:
                ended += growing
                break
            size = self.n if self.refill else len(growing)
            places = self._best(growing, size)
            pruned += [one.candidate for at, one in enumerate(growing) if at not in places]
            beam = [growing[places[at % len(places)]] for at in range(size)]
        # Sorted by path, so that ties do not go to the shortest answer.
        ended.sort(key=lambda one: one.candidate.path)
        counted = sorted(ended, key=lambda one: (not one.whole, -one.score))[: self.n]
        pruned += [one.candidate for one in ended if one not in counted]
        answers = [one for one in ended if one in counted]
        return (yield from chosen(answers, self.pick, rng, pruned=pruned))

    def _best(self, growing: Sequence[AnswerOption], size: int) -> list[int]:
        """Indices of the kept partial answers, one in `width` of `size`, ascending."""
        again = duplicates(one.candidate for one in growing)
        ranked = sorted(range(len(growing)), key=lambda at: (again[at], -growing[at].score))
        return sorted(ranked[: max(1, size // self.width)])
