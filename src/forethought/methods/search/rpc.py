"""Weigh answers by how likely their texts are, after the unlikely texts were dropped.

Paper: Bridging Internal Probability and Self-Consistency, arXiv:2502.00511 (RPC)
Exact: with n=1 it is the plain answer; where all texts are equally likely, a majority vote of
    the different ones.
Cost: n answers; counting them costs a fit of five numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from forethought.contracts.parameters import Count
from forethought.contracts.search import Ability, Candidate, Found, Search, Strategy, group, write
from forethought.methods.search._answers import elected
from forethought.numerics.votes import Tally
from forethought.numerics.weibull import unlikely


@dataclass(frozen=True)
class RPC(Strategy):
    """The answer whose texts have most probability together, each text counted once."""

    n: Count = 32
    """Answers drawn."""
    prune_from: Count = 16
    """Different texts from which on unlikely ones are dropped; fewer tell too little."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"log-probabilities"})

    @property
    def draws_alike(self) -> bool:
        """Always: those that are dropped are reported too."""
        return True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Draw, drop and count."""
        answers = yield from write([start] * self.n)
        groups = yield from group(answers)
        likely = [one.likelihood for one in answers]
        counted = _first_of_each(answers, groups)
        dropped = self._dropped(counted, likely)
        weights = [
            likely[place] if place in counted and place not in dropped else 0.0
            for place in range(len(answers))
        ]
        if not any(weights):  # chances too small to be told from 0: a majority vote
            weights = [float(one.whole) for one in answers]
        tally = Tally.of(groups, weights)
        best = elected(answers, tally, weights)
        stay = [place for place in range(len(answers)) if place not in dropped]
        return Found(
            answers[best],
            tuple(answers[place] for place in stay),
            tuple(tally.weights[place] for place in stay),
            tally.part(best),
            tuple(answers[place] for place in sorted(dropped)),
        )

    def _dropped(self, counted: Sequence[int], likely: Sequence[float]) -> set[int]:
        if len(counted) < self.prune_from:
            return set()
        low = unlikely(np.array([likely[place] for place in counted]))
        return {place for place, out in zip(counted, low, strict=True) if out}


def _first_of_each(answers: Sequence[Candidate], groups: Sequence[int | None]) -> list[int]:
    """The places where a text that says something stands first."""
    found: dict[str, int] = {}
    for place, one in enumerate(answers):
        if groups[place] is not None:
            found.setdefault(one.text, place)
    return list(found.values())
