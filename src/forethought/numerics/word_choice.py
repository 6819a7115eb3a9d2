"""Selection of words by keep probability, each part of a text losing the same share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_HALVINGS = 24


@dataclass(frozen=True)
class TextPart:
    """The words of one part of a text."""

    chances: np.ndarray
    """[W], the keep probability of each word; 1 for forced words."""
    counts: np.ndarray
    """[W], the tokens of each word."""
    forced: np.ndarray
    """[W], whether the word always stays."""

    def kept(self, dropped: float) -> np.ndarray:
        """Mask [W] of the words that stay if a share `dropped` of tokens goes.

        Words stay above a percentile of the probabilities, weighted by tokens. The percentile is
        one point above the share, so the least likely words go even at a share of 0.
        """
        lengthened = np.repeat(self.chances, self.counts)
        if not len(lengthened):
            return self.forced
        threshold = np.percentile(lengthened, min(100.0, 100.0 * dropped + 1))
        return np.asarray((self.chances > threshold) | self.forced)


def words_that_fit(parts: Sequence[TextPart], budget: int) -> list[np.ndarray]:
    """Masks of the words kept in each part, at the smallest dropped share that fits the budget.

    The forced words alone must fit.
    """
    fits, too_much = 1.0, -0.01
    for _ in range(_HALVINGS):
        share = (fits + too_much) / 2
        if _taken(parts, share) <= budget:
            fits = share
        else:
            too_much = share
    return [part.kept(fits) for part in parts]


def _taken(parts: Sequence[TextPart], dropped: float) -> int:
    return sum(int(part.counts[part.kept(dropped)].sum()) for part in parts)
