"""The choice of passages and of sentences within them under a target length (R2C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Passage:
    """A passage and its sentences."""

    score: float
    sentences: tuple[tuple[int, ...], ...]
    """The tokens of each sentence."""
    scores: tuple[float, ...]
    """Of the first sentences; those without a score leave only with the whole passage."""

    @property
    def length(self) -> int:
        """Its tokens."""
        return sum(map(len, self.sentences))


def kept_passages(
    passages: Sequence[Passage], target: int, share: float, power: float
) -> list[int]:
    """The tokens that stay, ascending: whole passages leave first, then sentences of the others.

    The sentences take `share` of the tokens that must leave. The choice may miss the target by a
    sentence per passage.
    """
    whole = sum(one.length for one in passages)
    surplus = whole - target
    if surplus <= 0:
        return sorted(token for one in passages for part in one.sentences for token in part)
    least = int(whole - surplus * (1 - share))
    best, length = list[Passage](), 0
    for one in sorted(passages, key=lambda passage: -passage.score):
        best.append(one)
        length += one.length
        if length >= least:
            break
    left = _without_sentences(best, length - target, power)
    return sorted(token for part in left for token in part)


def _without_sentences(
    best: Sequence[Passage], surplus: int, power: float
) -> list[tuple[int, ...]]:
    """The sentences that stay of passages in order of score, from the worst passage on."""
    quotas = _quotas(best, surplus, power)
    left: list[tuple[int, ...]] = []
    total = 0
    for rank in reversed(range(len(best))):
        quota = quotas[rank]
        if total >= surplus or quota == 0:
            left += best[rank].sentences
            continue
        stays = _after(best[rank], min(quota, surplus - total))
        gone = best[rank].length - sum(map(len, stays))
        left += stays
        total += gone
        _settle(quotas, rank, gone - quota)
    return left


def _quotas(best: Sequence[Passage], surplus: int, power: float) -> list[int]:
    """Tokens to drop by rank: in inverse proportion to scores, the fewest of the best passage."""
    if surplus <= 0:
        return [0] * len(best)
    if len(best) == 1:
        return [surplus]
    inverse = 1 / np.maximum([one.score for one in best], 1e-30) ** power
    found: list[int] = (inverse / inverse.sum() * surplus).astype(int).tolist()
    return found


def _after(passage: Passage, quota: int) -> list[tuple[int, ...]]:
    """The sentences left once the worst ones of `quota` tokens or more are gone."""
    gone, length = set[int](), 0
    for place in np.argsort(passage.scores, kind="stable").tolist():
        gone.add(place)
        length += len(passage.sentences[place])
        if length >= quota:
            break
    if len(gone) == len(passage.scores):
        return []
    return [one for place, one in enumerate(passage.sentences) if place not in gone]


def _settle(quotas: list[int], rank: int, excess: int) -> None:
    """Pass an excess on to the best passages, and a lack to the next better one."""
    if excess <= 0:
        if rank:
            quotas[rank - 1] -= excess
        return
    for better in range(rank):
        taken = min(quotas[better], excess)
        quotas[better] -= taken
        excess -= taken
