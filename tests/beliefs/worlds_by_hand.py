"""Worlds of difficulty, of the bank's prior and of shapes that it does not hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from forethought.beliefs.worlds import histograms, points, rates

Floats = NDArray[np.float64]
World = Callable[[np.random.Generator, int], Floats]
"""Success rates of so many questions."""


def own_prior(rng: np.random.Generator, questions: int) -> Floats:
    """Rates of a fresh world of the prior."""
    (law,) = histograms(points(rng, 1))
    return rates()[rng.choice(len(law), questions, p=law)]


def two_bumps(rng: np.random.Generator, questions: int) -> Floats:
    """Easy and very hard questions, normal in log-odds: the hostile shape."""
    share = rng.beta(2, 2)
    means, widths = (rng.normal(1.0, 1.0), rng.normal(-4.5, 1.0)), rng.uniform(0.4, 1.2, 2)
    easy = rng.random(questions) < share
    drawn = [rng.normal(mean, width, questions) for mean, width in zip(means, widths, strict=True)]
    return expit(np.where(easy, *drawn))


def three_groups(rng: np.random.Generator, questions: int) -> Floats:
    """Easy, middling and hard questions by three Beta laws."""
    group = rng.choice(3, questions, p=rng.dirichlet([1, 1, 1]))
    laws = [rng.beta(20, 3, questions), rng.beta(4, 8, questions), rng.beta(0.6, 60, questions)]
    return np.choose(group, laws)


def even_logarithms(rng: np.random.Generator, questions: int) -> Floats:
    """Rates that are uniform in their logarithm."""
    return 0.9 * 10 ** rng.uniform(rng.uniform(-5, -1), 0, questions)


def heavy_tails(rng: np.random.Generator, questions: int) -> Floats:
    """Log-odds by Student's law with three degrees of freedom."""
    return expit(rng.normal(-2, 1.5) + rng.uniform(0.5, 2) * rng.standard_t(3, questions))


def coverage_of(rates: Floats, at: tuple[int, ...]) -> Floats:
    """The coverage of questions with these rates."""
    return np.array([(1 - (1 - rates) ** k).mean() for k in at])
