"""Okapi BM25: how well short texts match the words of a question."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

# Scripts without spaces between words match character by character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def words(text: str) -> list[str]:
    """The words of a text, in small letters, without punctuation."""
    return _WORD.findall(text.casefold())


def bm25(question: str, texts: Sequence[str], k1: float, b: float) -> np.ndarray:
    """A score for each of `texts`; a word counts as often as the question has it.

    A word in n of N texts weighs ln(1 + (N - n + 1/2) / (n + 1/2)), which is never negative.
    """
    counts = [Counter(words(text)) for text in texts]
    lengths = np.array([count.total() for count in counts], dtype=float)
    average = lengths.mean() if lengths.any() else 1.0
    scores = np.zeros(len(texts))
    for word, times in Counter(words(question)).items():
        seen = np.array([count[word] for count in counts], dtype=float)
        holding = np.count_nonzero(seen)
        rarity = np.log1p((len(texts) - holding + 0.5) / (holding + 0.5))
        scale = k1 * (1 - b + b * lengths / average)
        scores += times * rarity * seen * (k1 + 1) / np.maximum(seen + scale, 1e-12)
    return scores
