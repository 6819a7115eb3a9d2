"""The greedy answer and a few samples: take the one closest to all others.

Paper: When Life Gives You Samples, arXiv:2506.20544 (hedged sampling); minimum Bayes risk
    choice with chrF
Published: ours (general name); Paper: several similarities, and optional min-p. Here: answers are
    compared by chrF, and samples are drawn without min-p.
Exact: equals the greedy answer at n=1 and n=2.
Cost: n answers over one prompt; the comparison by chrF runs no model.
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
    """Minimum Bayes risk selection for free-form answers in any language."""

    n: Count = 5
    """Answers, the greedy one included."""
    temperature: Annotated[float, Range(0, 10)] = 0.7
    """Temperature of all answers but the greedy one."""

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample, compare every pair, and take the answer closest to the others."""
        answers = yield from hedged(start, self.n, self.temperature)
        ended = [place for place, one in enumerate(answers) if one.whole]
        common = mean_overlaps([answers[place].text for place in ended])
        weights = [0.0] * len(answers)
        for place, shared in zip(ended, common, strict=True):
            weights[place] = shared
        return Found(answers[leading(answers, weights)], tuple(answers), tuple(weights))
