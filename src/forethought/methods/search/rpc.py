"""Vote by the likelihood of the texts, after unlikely texts are pruned.

Paper: Bridging Internal Probability and Self-Consistency, arXiv:2502.00511 (RPC)
Published: code; WNJXYK/RPC: mixture and mean over all samples, pruning at every n. As in every vote
    here, a sample that states no answer never wins.
Exact: equals one plain sample at n=1; if all texts are equally likely, a majority vote over the
    different texts.
Cost: n answers; the vote fits a mixture of five parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from forethought.contracts.parameters import Count
from forethought.contracts.search import Ability, Candidate, Found, Search, Strategy, group, write
from forethought.methods.search._answers import elected
from forethought.numerics.votes import Tally
from forethought.numerics.weibull import unlikely


@dataclass(frozen=True)
class RPC(Strategy):
    """The answer whose different texts have the highest total likelihood."""

    n: Count = 64
    """Answers sampled."""
    prune_by: Literal["samples", "texts"] = "samples"
    """The mixture and the mean that decide on pruning: of all samples, as published, or of the
    different texts that state an answer."""
    prune_from: Count = 1
    """Prune only from this number of samples, or of texts, on; 16 spares fits of few values."""

    revision: ClassVar[int] = 2
    needs: ClassVar[frozenset[Ability]] = frozenset({"log-probabilities"})

    @property
    def draws_alike(self) -> bool:
        """Always: pruned answers are reported too."""
        return True

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample, prune and vote."""
        answers = yield from write([start] * self.n)
        groups = yield from group(answers)
        likely = [one.likelihood for one in answers]
        counted = _first_of_each(answers, groups)
        whole = [place for place, one in enumerate(answers) if one.whole]
        dropped = self._dropped(whole if self.prune_by == "samples" else counted, likely)
        weights = [
            likely[place] if place in counted and place not in dropped else 0.0
            for place in range(len(answers))
        ]
        if not any(weights):  # all likelihoods round to 0: a majority vote
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

    def _dropped(self, fitted: Sequence[int], likely: Sequence[float]) -> set[int]:
        """The pruned ones among the samples that the mixture is fitted to."""
        if len(fitted) < max(1, self.prune_from):
            return set()
        low = unlikely(np.array([likely[place] for place in fitted]))
        return {place for place, out in zip(fitted, low, strict=True) if out}


def _first_of_each(answers: Sequence[Candidate], groups: Sequence[int | None]) -> list[int]:
    """The index of the first answer of each text that states an answer."""
    found: dict[str, int] = {}
    for place, one in enumerate(answers):
        if groups[place] is not None:
            found.setdefault(one.text, place)
    return list(found.values())
