"""Choosing among k samples: what the best by score, and what a vote, is right on average.

All are exact means over the ways to draw k of the samples that were made, so nothing has to be
drawn: estimates from the same samples differ by nothing but the question of which were made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.errors import UsageError

Floats = NDArray[np.float64]


def best_of_k(scores: Sequence[float], right: Sequence[float], k: int) -> float:
    """How right the best-scored of k samples is; of equal scores each is as likely taken.

    `right` is from 0 to 1. UsageError for k beyond the samples, or a score that is no number.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    ranked = np.asarray(scores, dtype=np.float64)[order]
    if np.isnan(ranked).any():
        raise UsageError("a score that is no number has no rank", "leave such samples out")
    _check(len(scores), len(right), k)
    _, blocks = np.unique(-ranked, return_inverse=True)
    chances = np.bincount(blocks, _first_chances(len(scores), k))
    means = np.bincount(blocks, np.asarray(right, dtype=np.float64)[order]) / np.bincount(blocks)
    return float(chances @ means)


def vote_of_k(groups: Sequence[int | None], right: Sequence[float], k: int) -> float:
    """How right the answer is that most of k samples give; of equal ones each is as likely taken.

    Equal groups are equal answers; None gives no answer and has no vote, unless all do. `right`
    is by sample, from 0 to 1. UsageError for k beyond the samples.

    A sum over the votes that the winner may have, and over how many other answers have as many:
    work grows with samples * k^2, so some hundreds of samples take a second.
    """
    _check(len(groups), len(right), k)
    counts = Counter(group for group in groups if group is not None)
    credit: dict[int | None, float] = {}
    for group, value in zip(groups, right, strict=True):
        credit[group] = credit.get(group, 0.0) + value
    silent = len(groups) - counts.total()
    chances = {one: _win_chance(counts, one, silent, k) for one in counts if credit[one]}
    whole = math.fsum(chance * credit[one] / counts[one] for one, chance in chances.items())
    if silent and credit[None]:
        whole += credit[None] / silent * math.comb(silent, k) / math.comb(len(groups), k)
    return whole


def best_of_n_divergence(n: int) -> float:
    """The most that the law of the best of n differs from that of one: log n - (n - 1) / n nats.

    By Kullback and Leibler's measure; reached where no two samples are equally good.
    """
    return math.log(n) - (n - 1) / n


def _check(samples: int, judged: int, k: int) -> None:
    if samples != judged or not 1 <= k <= samples:
        raise UsageError(
            f"{samples} samples, of which {judged} are judged, tell nothing of {k} samples",
            "give k from 1 to the samples, and judge each of them",
        )


def _first_chances(samples: int, k: int) -> Floats:
    """By rank, the chance that it is the first of those that k draws take, [samples].

    C(samples - rank, k - 1) / C(samples, k), each from the one before.
    """
    ranks = np.arange(1, samples)
    ratios = np.maximum(samples - ranks - k + 1, 0) / (samples - ranks)
    return np.cumprod(np.concatenate([[k / samples], ratios]))


def _win_chance(counts: Counter[int], group: int, silent: int, k: int) -> float:
    """The chance that `group` has most votes, an equal share of it where others have as many."""
    others = [count for one, count in counts.items() if one != group]
    share = k / (counts.total() + silent)
    if share == 1:
        ahead, equal = max(others, default=0), others.count(counts[group])
        return 0.0 if ahead > counts[group] else 1 / (1 + equal)
    own = _binomial(counts[group], share)
    free = _binomial(silent, share)
    rest = [_binomial(one, share) for one in others]
    total = math.fsum(
        own[votes] * _not_ahead(rest, free, votes, k - votes)
        for votes in range(1, min(counts[group], k) + 1)
    )
    # Draws without replacement are binomial counts, given that they sum to k.
    return total / float(_binomial(counts.total() + silent, share)[k])


def _not_ahead(others: list[Floats], free: Floats, votes: int, left: int) -> float:
    """The chance that others have `left` votes together and none more than `votes`.

    Where t of them have as many it counts for 1 / (1 + t), the integral of y^t from 0 to 1,
    which a quadrature of enough points gives exactly.
    """
    level = sum(len(one) > votes for one in others)
    points, weights = np.polynomial.legendre.leggauss(min(level, left // votes) // 2 + 1)
    drawn = np.zeros((len(points), left + 1))
    drawn[:, 0] = weights / 2
    for chances in others:
        kept = np.tile(chances[: min(votes, left) + 1], (len(points), 1))
        if kept.shape[1] > votes:
            kept[:, votes] *= (points + 1) / 2
        drawn = _joined(drawn, kept)
    return float(_joined(drawn, free[None, : left + 1])[:, left].sum())


def _joined(drawn: Floats, more: Floats) -> Floats:
    """Chances of sums of independent counts, as far as `drawn` goes, by row."""
    width = drawn.shape[1]
    found = np.zeros_like(drawn)
    for count in range(more.shape[1]):
        found[:, count:] += drawn[:, : width - count] * more[:, count : count + 1]
    return found


def _binomial(count: int, share: float) -> Floats:
    """Chances of 0 to `count` successes, each of chance `share` between 0 and 1."""
    logs = np.array([math.lgamma(n + 1) for n in range(count + 1)])
    hits = np.arange(count + 1)
    choices = logs[count] - logs - logs[::-1]
    found: Floats = np.exp(choices + hits * math.log(share) + (count - hits) * math.log1p(-share))
    return found
