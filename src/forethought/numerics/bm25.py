"""Okapi BM25: relevance of short texts to a question."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

# Scripts without spaces between words are split into characters.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def words(text: str) -> list[str]:
    """The words of a text, casefolded, without punctuation."""
    return _WORD.findall(text.casefold())


def bm25(question: str, texts: Sequence[str], k1: float, b: float) -> np.ndarray:
    """The BM25 score of each text; repeated words of the question count repeatedly.

    The inverse document frequency of a word in n of N texts is
    ln(1 + (N - n + 1/2) / (n + 1/2)), which is never negative.
    """
    counts = [Counter(words(text)) for text in texts]
    lengths = np.array([count.total() for count in counts], dtype=float)
    average = lengths.mean() if lengths.any() else 1.0
    scale = k1 * (1 - b + b * lengths / average)
    scores = np.zeros(len(texts))
    wanted = Counter(words(question))
    places = _places(counts, wanted)
    for word in (word for word in wanted if word in places):
        held, times = places[word]
        seen = np.array(times, dtype=float)
        rarity = np.log1p((len(texts) - len(held) + 0.5) / (len(held) + 0.5))
        scores[held] += (
            wanted[word] * rarity * seen * (k1 + 1) / np.maximum(seen + scale[held], 1e-12)
        )
    return scores


def _places(
    counts: Sequence[Counter[str]], wanted: Counter[str]
) -> dict[str, tuple[list[int], list[int]]]:
    """Postings of each wanted word: the texts that hold it, and its count in each."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for number, count in enumerate(counts):
        for word in count.keys() & wanted.keys():
            held, times = found.setdefault(word, ([], []))
            held.append(number)
            times.append(count[word])
    return found
