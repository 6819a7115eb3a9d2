"""Success rates by exact formulas: one rate, and rates that differ by question.

The share of right answers among few is a biased plug-in for functions of the rate that bend, such
as (1 - rate)^k. The law of each question's rate given its count is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, expit, logsumexp, ndtri

from forethought.beliefs.sampled import SampledBelief
from forethought.contracts.beliefs import LEVEL, Counts, tails

Floats = NDArray[np.float64]
_NODES = 24
"""Points of each quadrature: exact for polynomials of the rate up to degree 47."""
_BOUNDS = ((-9.0, 9.0), (-4.0, 9.0))
"""Log-odds of the mean, and log of a + b: counts may show no spread, or nothing else."""


@dataclass(frozen=True)
class Beta:
    """A law of success rates: over questions, or the belief about one rate."""

    a: float
    b: float

    @property
    def mean(self) -> Floats:
        """The expected rate, [1]."""
        return np.array([self.a / (self.a + self.b)])

    def interval(self, level: float = LEVEL) -> Floats:
        """The central interval of the rate, [1, 2]."""
        return np.array([betaincinv(self.a, self.b, tails(level))])

    def sample(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws of the rate, [count, 1]."""
        return rng.beta(self.a, self.b, (count, 1))

    @classmethod
    def fitted(cls, samples: Sequence[int], right: Sequence[int]) -> Beta:
        """Maximum likelihood from the counts of each question."""
        counts = Counter(zip(samples, right, strict=True))
        made, good, times = np.array([(n, c, w) for (n, c), w in counts.items()], dtype=float).T

        def surprise(place: Floats) -> float:
            a, b = _shapes(place)
            return -float(times @ (betaln(a + good, b + made - good) - betaln(a, b)))

        share = (times @ good + 0.5) / (times @ made + 1)
        start = [float(np.clip(np.log(share / (1 - share)), -8.9, 8.9)), 1.0]
        return cls(*_shapes(minimize(surprise, start, bounds=_BOUNDS, method="L-BFGS-B").x))

    def given(self, samples: int, right: int) -> Beta:
        """The law of a question's rate after its answers were seen."""
        return Beta(self.a + right, self.b + samples - right)

    def nodes(self) -> tuple[Floats, Floats]:
        """Rates [24] and their shares [24]: the Gauss-Jacobi quadrature of this law.

        From the eigenvectors of the Jacobi matrix, which do not overflow for large a and b.
        """
        alpha, beta = self.b - 1, self.a - 1
        k = np.arange(1, _NODES, dtype=np.float64)
        total = 2 * k + alpha + beta
        first = (beta - alpha) / (alpha + beta + 2)
        middle = (beta**2 - alpha**2) / (total * (total + 2))
        side = 4 * k * (k + alpha) * (k + beta) / (total**2 * (total + 1))
        side[1:] *= (k[1:] + alpha + beta) / (total[1:] - 1)  # equal, and so 1, at k = 1
        places = np.diag(np.concatenate(([first], middle)))
        places += np.diag(np.sqrt(side), 1) + np.diag(np.sqrt(side), -1)
        values, vectors = np.linalg.eigh(places)
        return ((1 + values) / 2).clip(0.0, 1.0), vectors[0] ** 2


UNIFORM = Beta(1.0, 1.0)


@dataclass(frozen=True)
class ZeroInflatedBeta:
    """Beliefs about coverage where rates follow a Beta law, and some questions have rate 0.

    The share of such questions and both shapes have priors on a grid of quantiles, so the
    posterior is exact up to the grid. The intervals are far too narrow for rates of another
    shape; `difficulty.py` has the broad prior.
    """

    at: tuple[int, ...]
    seed: int = 0
    draws: int = 1000

    def condition(self, evidence: Counts) -> SampledBelief:
        """The belief about the coverage of these questions at each number of samples."""
        rng = np.random.default_rng(self.seed)
        zero, a, b = zero_inflated_grid()
        chosen = rng.choice(len(zero), self.draws, p=_grid_weights(evidence, zero, a, b))
        zero, a, b = zero[chosen, None], a[chosen, None], b[chosen, None]
        made, good = np.array(evidence.samples), np.array(evidence.right)
        success = rng.beta(a + good, b + made - good)
        unsolved = zero / (zero + (1 - zero) * np.exp(betaln(a, b + made) - betaln(a, b)))
        success[(good == 0) & (rng.random(success.shape) < unsolved)] = 0.0
        missed = [((1 - success) ** k).mean(axis=1) for k in self.at]
        return SampledBelief(1 - np.stack(missed, axis=1))


def zero_inflated_grid() -> tuple[Floats, Floats, Floats]:
    """Zero shares, a and b at equal probabilities of their priors, each [3240].

    The priors are Beta(1, 4), and log-normal with medians 0.6 and 2.
    """
    zero = betaincinv(1.0, 4.0, _middles(10))
    a = 0.6 * np.exp(0.7 * ndtri(_middles(18)))
    b = 2.0 * np.exp(0.8 * ndtri(_middles(18)))
    places = np.meshgrid(zero, a, b, indexing="ij")
    return places[0].ravel(), places[1].ravel(), places[2].ravel()


def _middles(count: int) -> Floats:
    found: Floats = (np.arange(count) + 0.5) / count
    return found


def _grid_weights(evidence: Counts, zero: Floats, a: Floats, b: Floats) -> Floats:
    """The posterior probability of each place of the grid."""
    logs = np.zeros(len(zero))
    counts = Counter(zip(evidence.samples, evidence.right, strict=True))
    for (made, good), times in counts.items():
        one = np.log1p(-zero) + betaln(a + good, b + made - good) - betaln(a, b)
        logs += times * (np.logaddexp(one, np.log(zero)) if good == 0 else one)
    found: Floats = np.exp(logs - logsumexp(logs))
    return found


def _shapes(place: Floats) -> tuple[float, float]:
    size = float(np.exp(place[1]))
    return size * float(expit(place[0])), size * float(expit(-place[0]))
