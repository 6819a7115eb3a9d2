"""Greedy decoding: the baseline of every other strategy.

Published: baseline
Exact: it is the plain answer at temperature 0.
Cost: one answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forethought.contracts.search import Candidate, Found, Search, Strategy, write


@dataclass(frozen=True)
class Greedy(Strategy):
    """One answer at temperature 0."""

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Decode one answer."""
        (answer,) = yield from write([start], temperature=0.0)
        return Found(answer, (answer,), (1.0,))
