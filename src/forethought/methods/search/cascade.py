"""Let a small model answer, and ask the large model only if the small one is unsure.

Paper: FrugalGPT, arXiv:2305.05176; agreement of the small model's answers as the signal,
    arXiv:2310.03094
Published: ours (general name); Paper: FrugalGPT trains a scorer. Here: the small model's agreement
    decides.
Exact: equals the small model's vote at sure=0, and the large model's answer at sure above 1.
Cost: n answers of the small model, named by -d, and the large model's answers if it is unsure.
Example: forethought "A pen costs 3 dollars. What do 14 pens cost?" -m qwen-coder-1.5b
    -d smollm2 -s cascade
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from forethought import catalogue
from forethought.contracts.errors import BadParameterError, BudgetSpentError
from forethought.contracts.names import method_name
from forethought.contracts.parameters import Count, Range
from forethought.contracts.search import (
    Ability,
    Candidate,
    Found,
    Search,
    Strategy,
    group,
    write,
)
from forethought.methods.search._answers import budget_spent, elected
from forethought.numerics.difficulty import signs
from forethought.numerics.votes import Tally


@dataclass(frozen=True)
class Cascade(Strategy):
    """The majority vote of the small model, or the answer of the large model."""

    n: Count = 4
    """Answers of the small model."""
    sure: Annotated[float, Range(0, 2)] = 0.75
    """Ask the large model below this confidence: never at 0, always above 1."""
    by: Literal["agreement", "likelihood"] = "agreement"
    """Confidence of the small model: share of agreement, or mean token probability."""
    then: str = "greedy"
    """Strategy of the large model, such as 'majority-vote(n=4)'."""

    def __post_init__(self) -> None:
        if self.n == 1 and self.by == "agreement" and self.sure <= 1:
            raise BadParameterError(
                f"{method_name(type(self))}: one answer always agrees with itself, so the large "
                "model is never asked",
                "draw several, such as n=4, or use by=likelihood",
            )
        self._large()

    @property
    def needs(self) -> frozenset[Ability]:
        """A second model, and the needs of the large model's strategy."""
        signs: frozenset[Ability] = frozenset(
            {"log-probabilities"} if self.by == "likelihood" else ()
        )
        return self._large().needs | signs | {"draft"}

    @property
    def follows_up(self) -> bool:
        """Whether the large model's strategy asks about finished answers."""
        return self._large().follows_up

    @property
    def scores(self) -> bool:
        """Whether the large model's strategy needs a scorer."""
        return self._large().scores

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Let the small model vote, and the large model answer below `sure`."""
        small = yield from write([replace(start, writer="draft")] * self.n)
        groups = yield from group(small)
        tally = Tally.of(groups, [1.0] * self.n)
        best = elected(small, tally, [one.likelihood for one in small])
        agreement, _ = signs(groups, ())
        sure = agreement if self.by == "agreement" else small[best].likelihood
        told = f"{self.by} of the draft's answers: {sure:.2f}"
        settled = Found(small[best], tuple(small), tally.weights, tally.share)
        if budget_spent(small):
            return settled
        if sure >= self.sure:
            return replace(settled, notes=(f"{told}, so the target was not asked",))
        spent = replace(settled, notes=(f"{told}, but the budget did not cover the target",))
        try:
            large: Found = yield from self._large().search(start, rng)
        except BudgetSpentError:
            return spent
        if small[best].whole and not large.best.whole:
            return replace(spent, pruned=(*large.considered, *large.pruned))
        return _both(small, large, f"{told}, so the target was asked")

    def _large(self) -> Strategy:
        strategy: Strategy = catalogue.build(self.then, "strategies")
        return strategy


def _both(small: Sequence[Candidate], large: Found, note: str) -> Found:
    """The large model's answer; the small model's answers get weight 0."""
    weights = large.weights and (*(0.0 for _ in small), *large.weights)
    return replace(
        large,
        considered=(*small, *large.considered),
        weights=weights,
        notes=(note, *large.notes),
    )
