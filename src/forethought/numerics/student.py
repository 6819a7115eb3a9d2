"""Quantiles of the normal distribution and of Student's t."""

from __future__ import annotations

from statistics import NormalDist


def normal_quantile(share: float) -> float:
    """The value that a standard normal variable stays below with this probability."""
    return NormalDist().inv_cdf(share)


def normal_share(value: float) -> float:
    """The probability that a standard normal variable stays below this value."""
    return NormalDist().cdf(value)


def student_quantile(share: float, freedom: int) -> float:
    """The value that Student's t stays below with this probability."""
    # Here, since loading it takes longer than all else that answering one question loads.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))
