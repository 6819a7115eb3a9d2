"""How much two texts have in common: the F-score of their letter n-grams (chrF).

As in Popović 2015, letters of all languages count and spaces do not; precision and recall weigh
the same here, so that neither text is the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

LONGEST = 6
"""Letters of the longest n-grams."""


def overlap(first: str, second: str) -> float:
    """From 0 (no letter in common) to 1 (the same but for spaces); the same both ways round."""
    return _overlap(_grams(first), _grams(second))


def mean_overlaps(texts: Sequence[str]) -> list[float]:
    """Each text's overlap with all others, on average; 1 for a text without others."""
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
    """By length: how often each n-gram occurs."""
    letters = "".join(text.split())
    return [
        Counter(letters[place : place + size] for place in range(len(letters) - size + 1))
        for size in range(1, LONGEST + 1)
    ]


def _overlap(first: list[Counter[str]], second: list[Counter[str]]) -> float:
    """The mean over the lengths that occur in either; 1 for two empty texts."""
    found = []
    for one, other in zip(first, second, strict=True):
        both = one.total() + other.total()
        if both:
            found.append(2 * (one & other).total() / both)
    return sum(found) / len(found) if found else 1.0
