"""The strategy of a plain answer: independent samples, of which the first is the answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forethought.contracts.search import Candidate, Found, Search, Strategy, write


@dataclass(frozen=True)
class PlainAnswer(Strategy):
    """Answers at the recipe's own temperature; nothing chooses among them."""

    n: int = 1

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Write all of them."""
        answers = yield from write([start] * self.n)
        return Found(answers[0], tuple(answers))
