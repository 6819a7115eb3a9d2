"""Overlap of two texts: the F-score of their character n-grams (chrF, Popović 2015).

Whitespace is ignored. Precision and recall weigh the same, so the score is symmetric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

LONGEST = 6
"""Length of the longest n-grams."""


def overlap(first: str, second: str) -> float:
    """The symmetric overlap, from 0 (no common character) to 1 (equal but for spaces)."""
    return _overlap(_grams(first), _grams(second))


def mean_overlaps(texts: Sequence[str]) -> list[float]:
    """The mean overlap of each text with all others; 1 for a single text."""
    grams = [_grams(text) for text in texts]
    size = len(texts)
    sums = [0.0] * size
    for one in range(size):
        for other in range(one):
            shared = _overlap(grams[one], grams[other])
            sums[one] += shared
            sums[other] += shared
    return [total / (size - 1) for total in sums] if size > 1 else [1.0] * size


def _grams(text: str) -> list[Counter[str]]:
    """Counts of the n-grams of each length."""
    letters = "".join(text.split())
    return [
        Counter(letters[place : place + size] for place in range(len(letters) - size + 1))
        for size in range(1, LONGEST + 1)
    ]


def _overlap(first: list[Counter[str]], second: list[Counter[str]]) -> float:
    """The mean F-score over the lengths that occur in either text; 1 for two empty texts."""
    found = []
    for one, other in zip(first, second, strict=True):
        both = one.total() + other.total()
        if both:
            found.append(2 * (one & other).total() / both)
    return sum(found) / len(found) if found else 1.0
