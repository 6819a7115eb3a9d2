"""The likeliest answer and a few drawn ones: take what has most in common with all others.

Paper: When Life Gives You Samples, arXiv:2506.20544 (hedged sampling); minimum Bayes risk
    choice with chrF
Exact: with n=1, and with n=2, it is the greedy answer.
Cost: n answers behind one prompt; comparing their letters runs no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from forethought.contracts.parameters import Count, Range
from forethought.contracts.search import Candidate, Found, Search, Strategy
from forethought.methods.search._answers import leading
from forethought.methods.search._hedge import hedged
from forethought.numerics.overlap import mean_overlaps


@dataclass(frozen=True)
class Hedged(Strategy):
    """For answers in free form, which no vote can count; in any language."""

    n: Count = 5
    """Answers, the greedy one among them."""
    temperature: Annotated[float, Range(0, 10)] = 0.7
    """Of all others."""

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Write, compare every two, and take the one that is likest to the others."""
        answers = yield from hedged(start, self.n, self.temperature)
        ended = [place for place, one in enumerate(answers) if one.whole]
        common = mean_overlaps([answers[place].text for place in ended])
        weights = [0.0] * len(answers)
        for place, shared in zip(ended, common, strict=True):
            weights[place] = shared
        return Found(answers[leading(answers, weights)], tuple(answers), tuple(weights))
