"""Quantiles of the normal distribution and of Student's t."""

from __future__ import annotations

from statistics import NormalDist


def normal_quantile(probability: float) -> float:
    """The standard normal quantile of this probability."""
    return NormalDist().inv_cdf(probability)


def normal_share(value: float) -> float:
    """The standard normal distribution function."""
    return NormalDist().cdf(value)


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t with `freedom` degrees of freedom."""
    # Imported late: scipy.special takes longer to load than all other imports of `ask`.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def student_share(value: float, freedom: int) -> float:
    """The distribution function of Student's t with `freedom` degrees of freedom."""
    # Imported late, as above.
    from scipy.special import stdtr

    return float(stdtr(freedom, value))
