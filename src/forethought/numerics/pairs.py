"""Paired differences of scores over one task or several.

The difference is the mean over tasks of the mean over questions. Tasks are fixed; clusters of
questions within a task are resampled whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.comparison import Interval
from forethought.numerics.intervals import UPPER, Clustered
from forethought.numerics.student import normal_quantile, normal_share, student_quantile

RESAMPLES = 10_000
_POWER = 0.8
_FEW = 10.0  # questions up to which an unseen difference may be as large as 1
_ENUMERATED = 16  # clusters up to which sign flips are enumerated, not sampled
_AT_ONCE = 1 << 20  # numbers in memory while resampling


def mean_difference(tasks: Sequence[Clustered]) -> float:
    """The mean over tasks of the mean difference."""
    return math.fsum(task.mean for task in tasks) / len(tasks)


def paired_interval(tasks: Sequence[Clustered], rng: np.random.Generator) -> Interval:
    """The 95 % percentile-bootstrap interval of the mean difference, corrected for small samples.

    The percentiles are expanded by the ratio of Student's t to the normal (Hesterberg). Each draw
    includes two pseudo-questions, one won and one lost by the largest plausible difference (after
    Bonett and Price), so that equal scores still have an interval. Each draw counts twice, with
    these two swapped too: negated scores have the negated interval.
    """
    value, count = mean_difference(tasks), _count(tasks)
    draws = np.mean([_resampled(task, rng) for task in tasks], axis=0)
    share = 1 / (count + 2)
    won, lost, _ = rng.multinomial(
        round(count) + 2, [share, share, 1 - 2 * share], size=RESAMPLES
    ).T
    seen, added = count * draws, _largest(tasks) * (won - lost)
    draws = np.concatenate([seen + added, seen - added]) / (count + 2)
    tail = _expanded_tail(tasks)
    low, high = (float(end) for end in np.quantile(draws, [tail, 1 - tail]))
    return Interval(value, max(-1.0, min(low, value)), min(1.0, max(high, value)))


def sign_flip_probability(tasks: Sequence[Clustered], rng: np.random.Generator) -> float:
    """The two-sided p-value of no difference, by random sign flips of whole clusters.

    It is exact for up to 16 clusters that differ, and if all differences have one size (the exact
    McNemar test for 0/1 scores of one task). Otherwise sampled flips estimate it, never as 0. It
    is 1 if every pair is equal.
    """
    parts = np.concatenate([task.sums / task.sizes.sum() / len(tasks) for task in tasks])
    sizes = np.abs(parts[np.abs(parts) > 1e-12])
    if not len(sizes):
        return 1.0
    seen = abs(float(parts.sum()))
    if np.allclose(sizes, sizes[0], rtol=1e-9):
        return _binomial(len(sizes), round(seen / float(sizes[0])))
    least = seen - 1e-9 * float(sizes.sum())
    if len(sizes) <= _ENUMERATED:
        return float(np.mean(np.abs(_all_flips(sizes)) >= least))
    hits = sum(int(np.sum(np.abs(flips) >= least)) for flips in _drawn_flips(sizes, rng))
    return (1 + hits) / (1 + RESAMPLES)


def detectable_difference(tasks: Sequence[Clustered]) -> float:
    """The true difference that a two-sided 5 % test detects with a power of 80 %.

    It follows from the standard error of the paired difference or, if nothing varies, from the
    pseudo-questions of `paired_interval`.
    """
    error = math.hypot(*(task.error for task in tasks)) / len(tasks)
    if error < 1e-12:
        error = math.sqrt(2) * _largest(tasks) / (_count(tasks) + 2)
    return (normal_quantile(UPPER) + normal_quantile(_POWER)) * error


def _count(tasks: Sequence[Clustered]) -> float:
    """The effective number of clusters, as if spread evenly over the tasks."""
    return len(tasks) ** 2 / math.fsum(1 / task.count for task in tasks)


def _largest(tasks: Sequence[Clustered]) -> float:
    """The difference of a pseudo-question: the largest observed or, for few questions, plausible.

    With few questions larger differences may not have been drawn yet, so a single small one must
    not narrow the interval.
    """
    found = max(float(np.max(np.abs(task.sums / task.sizes))) for task in tasks)
    return max(found, min(1.0, _FEW / _count(tasks)))


def _expanded_tail(tasks: Sequence[Clustered]) -> float:
    total = sum(task.count for task in tasks)
    freedom = max(total - len(tasks), 1)
    return normal_share(-math.sqrt(total / freedom) * student_quantile(UPPER, freedom))


def _resampled(task: Clustered, rng: np.random.Generator) -> NDArray[np.float64]:
    """Bootstrap means of a task, [RESAMPLES]."""
    means = []
    for rows in _rows(task.count):
        drawn = rng.integers(0, task.count, (rows, task.count))
        means.append(task.sums[drawn].sum(axis=1) / task.sizes[drawn].sum(axis=1))
    return np.concatenate(means)


def _rows(width: int) -> list[int]:
    """RESAMPLES split into blocks that fit in memory."""
    most = max(1, _AT_ONCE // width)
    return [min(most, RESAMPLES - start) for start in range(0, RESAMPLES, most)]


def _binomial(count: int, lead: int) -> float:
    """The probability that `count` fair coins differ by `lead` or more."""
    hits = sum(math.comb(count, k) for k in range(count + 1) if abs(2 * k - count) >= lead)
    return float(hits / 2**count)


def _all_flips(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    totals = np.zeros(1)
    for size in sizes:
        totals = np.concatenate([totals + size, totals - size])
    return totals


def _drawn_flips(sizes: NDArray[np.float64], rng: np.random.Generator) -> list[NDArray[np.float64]]:
    return [
        (2.0 * rng.integers(0, 2, (rows, len(sizes))) - 1) @ sizes for rows in _rows(len(sizes))
    ]
