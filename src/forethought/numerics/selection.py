"""Expected score of best-of-k and of a majority vote over k samples.

Both are exact means over all subsets of k samples, without Monte Carlo noise.
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
    """The expected score of the sample ranked first among k; ties are broken at random.

    `right` holds values from 0 to 1. UsageError if k exceeds the samples, or for a score of NaN.
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
    """The expected score of a majority vote over k samples; ties are broken at random.

    Equal groups are equal answers. None is no answer and does not vote, unless all are None.
    `right` holds a value from 0 to 1 per sample. UsageError if k exceeds the samples.

    The sum runs over the winner's votes and the number of ties. Work grows with samples * k^2:
    a few hundred samples take a second.
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


def _check(samples: int, judged: int, k: int) -> None:
    if samples != judged or not 1 <= k <= samples:
        raise UsageError(
            f"{samples} samples with {judged} judged do not determine a choice among {k}",
            "give k from 1 to the number of samples, and judge each of them",
        )


def _first_chances(samples: int, k: int) -> Floats:
    """The probability [samples] that each rank is the best among k draws without replacement.

    It is C(samples - rank, k - 1) / C(samples, k), computed by recurrence.
    """
    ranks = np.arange(1, samples)
    ratios = np.maximum(samples - ranks - k + 1, 0) / (samples - ranks)
    return np.cumprod(np.concatenate([[k / samples], ratios]))


def _win_chance(counts: Counter[int], group: int, silent: int, k: int) -> float:
    """The probability that `group` wins the vote; tied groups share it equally."""
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
    # Draws without replacement are binomial counts, conditioned on their sum k.
    return total / float(_binomial(counts.total() + silent, share)[k])


def _not_ahead(others: list[Floats], free: Floats, votes: int, left: int) -> float:
    """The probability that the others share `left` votes and none has more than `votes`.

    A tie with t others counts 1 / (1 + t), the integral of y^t from 0 to 1, which Gauss-Legendre
    quadrature with enough points gives exactly.
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
    """Convolve distributions of counts row by row, truncated to the width of `drawn`."""
    width = drawn.shape[1]
    found = np.zeros_like(drawn)
    for count in range(more.shape[1]):
        found[:, count:] += drawn[:, : width - count] * more[:, count : count + 1]
    return found


def _binomial(count: int, share: float) -> Floats:
    """The binomial probabilities of 0 to `count` successes at rate `share`, within (0, 1)."""
    logs = np.array([math.lgamma(n + 1) for n in range(count + 1)])
    hits = np.arange(count + 1)
    choices = logs[count] - logs - logs[::-1]
    found: Floats = np.exp(choices + hits * math.log(share) + (count - hits) * math.log1p(-share))
    return found
