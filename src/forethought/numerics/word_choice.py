"""Choosing words by chances, part by part, each part losing about the same share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_HALVINGS = 24


@dataclass(frozen=True)
class TextPart:
    """The words of one part of a text."""

    chances: np.ndarray
    """[W], how likely each is worth keeping; 1 where it is forced."""
    counts: np.ndarray
    """[W], what each takes of the budget."""
    forced: np.ndarray
    """[W], whether it stays in any case."""

    def kept(self, dropped: float) -> np.ndarray:
        """[W], the words that stay when a share of `dropped` goes.

        Those above a percentile of the chances, where a word counts as often as it is long;
        the percentile is one above the share, so the least likely words go even at 0.
        """
        lengthened = np.repeat(self.chances, self.counts)
        if not len(lengthened):
            return self.forced
        threshold = np.percentile(lengthened, min(100.0, 100.0 * dropped + 1))
        return np.asarray((self.chances > threshold) | self.forced)


def words_that_fit(parts: Sequence[TextPart], budget: int) -> list[np.ndarray]:
    """What stays of each part at the smallest share dropped where all counts fit the budget.

    Forced words have to fit by themselves.
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
