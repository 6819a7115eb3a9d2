"""Quantiles of the normal distribution and of Student's t."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_MOST = 1000  # degrees of freedom; beyond, the quantile of 1000 is at most 0.2 % too wide
_HALVINGS = 60


def normal_quantile(share: float) -> float:
    """The value that a standard normal variable stays below with this probability."""
    return NormalDist().inv_cdf(share)


def normal_share(value: float) -> float:
    """The probability that a standard normal variable stays below this value."""
    return NormalDist().cdf(value)


@lru_cache(maxsize=256)
def student_quantile(share: float, freedom: int) -> float:
    """The value that Student's t stays below with this probability, from one half on."""
    freedom = min(freedom, _MOST)
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _within(middle, freedom) < 2 * share - 1:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """P(|t| < sqrt(freedom) tan(angle)): Abramowitz and Stegun 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for step in range(1, freedom // 2 + 1):
        total += term
        term *= cosine**2 * (2 * step - 1 + odd) / (2 * step + odd)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
