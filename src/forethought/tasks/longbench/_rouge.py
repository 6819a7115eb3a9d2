"""ROUGE-L of summaries as LongBench computes it: union LCS over sentences, unique words.

Its package recurses once per word of a sentence and gives 0 beyond Python's limit; here such a
sentence gets its score.
"""

from __future__ import annotations

from collections.abc import Sequence

_EPSILON = 1e-8
"""The scorer's guard against a division by zero; it keeps equal texts just below 1."""


def rouge_l(answer: str, reference: str) -> float:
    """F1 of the distinct words in the common subsequences of all pairs of sentences."""
    given, wanted = sentences(answer), sentences(reference)
    if not given or not wanted:
        return 0.0
    shared = {
        word
        for wanted_words in wanted
        for given_words in given
        for word in common_subsequence(wanted_words, given_words)
    }
    precision, recall = (len(shared) / len(set().union(*of)) for of in (given, wanted))
    return 2 * precision * recall / (precision + recall + _EPSILON)


def sentences(text: str) -> list[list[str]]:
    """Words between full stops. Blank text between two of them counts as one empty word."""
    return [" ".join(part.split()).split(" ") for part in text.split(".") if part]


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """A longest common subsequence, bit-parallel (Hyyrö 2004); of several, one is fixed.

    Walking back from both ends, the choice between two equally long ones shortens `other`.
    """
    rows = _rises(one, other)
    found = []
    i, j = len(one), len(other)
    while i and j:
        if one[i - 1] == other[j - 1]:
            found.append(one[i - 1])
            i, j = i - 1, j - 1
        elif rows[i] >> (j - 1) & 1:
            j -= 1
        else:
            i -= 1
    return found[::-1]


def _rises(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """For each prefix of `one`, a bit per item of `other`: 0 if the LCS grows at this item."""
    places: dict[str, int] = {}
    for place, item in enumerate(other):
        places[item] = places.get(item, 0) | 1 << place
    whole = (1 << len(other)) - 1
    rows = [whole]
    for item in one:
        matched = rows[-1] & places.get(item, 0)
        rows.append((rows[-1] + matched | rows[-1] - matched) & whole)
    return rows
