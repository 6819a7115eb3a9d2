"""The chain of tokens that an answer depends on, by attention (UQAC, arXiv:2503.19168)."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_STEPS = 1000
_WALK = 5
"""Attended tokens that each token of the frontier considers; more only while none qualifies."""
_ALTERNATIVES = 5


@dataclass(frozen=True)
class ChainRules:
    """When a chain grows and ends."""

    width: int = 3
    """Tokens added at each step."""
    threshold: float = 0.5
    """Attention below which no token is added, once the chain is long enough."""
    least: int = 5
    """Tokens of the chain beside those of the answer."""


def attention_chain(
    weights: np.ndarray, answer: Sequence[int], idle: Sequence[bool], rules: ChainRules
) -> list[int]:
    """The tokens behind an answer, nearest first, without those of the answer.

    `weights` [N, N] is the attention of each token; the row before a token predicts that token.
    `idle` tokens, such as stop words, are skipped.
    """
    used, chain, frontier = set(answer), list[int](), list(answer)
    for _ in range(_STEPS):
        short = len(chain) < rules.least
        scores = _attended(weights, frontier, [i in used or n for i, n in enumerate(idle)], short)
        ranked = sorted(scores, key=lambda token: (-scores[token], token))[: rules.width]
        frontier = []
        for token in ranked:
            if scores[token] < rules.threshold and len(chain) >= rules.least:
                break
            chain.append(token)
            frontier.append(token)
        used.update(frontier)
        if not frontier:
            break
    return chain


def _attended(
    weights: np.ndarray, frontier: Sequence[int], skipped: Sequence[bool], short: bool
) -> dict[int, float]:
    """The attention that the frontier pays to each token that is not skipped."""
    scores: dict[int, float] = {}
    for token in frontier:
        row = weights[token - 1] if token else np.zeros(len(weights))
        for rank, place in enumerate(np.argsort(-row, kind="stable").tolist()):
            if row[place] <= 0 or (rank >= _WALK and (scores or not short)):
                break
            if not skipped[place]:
                scores[place] = scores.get(place, 0.0) + float(row[place])
    return scores


def nearest(
    similarity: np.ndarray, chain: Sequence[int], answer: Sequence[int], count: int
) -> list[int]:
    """The tokens of a chain most similar to the answer, in order of the text.

    Tokens whose mean similarity is below 0 are left out.
    """
    mean = {token: float(similarity[token, list(answer)].mean()) for token in chain}
    ranked = sorted((one for one in chain if mean[one] >= 0), key=lambda one: (-mean[one], one))
    return sorted(ranked[:count])


class Swap(NamedTuple):
    """Another token in one place."""

    place: int
    token: int


def swaps(
    top: Sequence[Sequence[tuple[int, float]]],
    text: Sequence[int],
    places: Collection[int],
    *,
    count: int,
    least: float,
) -> list[Swap]:
    """The likeliest alternatives in these places; the text's own tokens count, but are no swap.

    `top` are tokens with their log-probabilities, likeliest first.
    """
    ranked = sorted(
        (-chance, place, token)
        for place in places
        for token, chance in top[place][:_ALTERNATIVES]
        if math.exp(chance) > least
    )
    return [Swap(place, token) for _, place, token in ranked[:count] if token != text[place]]
