"""Coverage: the probability that one of k samples is right, and its power law in k.

Coverage is the score of an oracle that chooses among the samples, an upper bound for every
strategy. The estimator is that of arXiv:2107.03374, the law exp(a k^b) that of
arXiv:2407.21787.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from forethought.contracts.comparison import Interval
from forethought.contracts.errors import UsageError

Floats = NDArray[np.float64]
_HIGHEST = 600.0  # exp overflows a float soon after


def pass_at_k(samples: int, right: int, k: int) -> float:
    """pass@k: the probability that k of the samples, drawn without replacement, hold a right one.

    Unbiased for k new samples, unlike 1 - (1 - right / samples)^k. UsageError if k exceeds the
    number of samples.
    """
    _check(samples, right, k)
    if samples - right < k:
        return 1.0
    wrong = np.arange(samples - right + 1, samples + 1)
    return -math.expm1(float(np.log1p(-k / wrong).sum())) if right else 0.0


def coverage(samples: Sequence[int], right: Sequence[int], k: Sequence[int]) -> Floats:
    """The mean of `pass_at_k` over questions, at each k; counts are by question."""
    mean: Floats = _by_question(samples, right, k).mean(axis=0)
    return mean


def log_spaced(most: int, points: int = 25) -> list[int]:
    """At most `points` whole numbers from 1 to `most`, evenly spaced in logarithm."""
    return sorted({round(k) for k in np.geomspace(1, most, points)})


@dataclass(frozen=True)
class PowerLaw:
    """Coverage as exp(a k^b), where a and b are at most 0."""

    a: float
    b: float

    def at(self, k: float) -> float:
        """Coverage at k samples."""
        return math.exp(self.a * k**self.b)

    @classmethod
    def fitted(cls, k: Sequence[int], seen: Sequence[float]) -> PowerLaw:
        """Fit the law to observed coverage by least squares.

        UsageError for fewer than two values of k, or if coverage is 0 everywhere or 1 everywhere.
        """
        values = np.asarray(seen, dtype=np.float64)
        if len(set(k)) < 2 or values.max() <= 0 or values.min() >= 1:
            raise UsageError(
                f"coverage of {_told(values)} at k = {_told(k)} shows no law",
                "give coverage at two k or more that is not 0 or 1 everywhere",
            )
        a, b = _least_squares(np.asarray(k, dtype=np.float64), values)
        return cls(float(a), float(b))


def extrapolated(
    samples: Sequence[int],
    right: Sequence[int],
    at: Sequence[int],
    rng: np.random.Generator,
    clusters: Sequence[str] = (),
    resamples: int = 1000,
) -> list[Interval]:
    """Coverage at each k of `at` by the fitted law, with 95 % bootstrap intervals.

    `at` may exceed the number of samples. The bootstrap resamples questions in whole clusters.
    Its intervals cover the draw of questions and assume that the law holds at larger k.
    UsageError if `PowerLaw.fitted` has nothing to fit.
    """
    k = log_spaced(min(samples))
    each = _by_question(samples, right, k)
    law = PowerLaw.fitted(k, each.mean(axis=0).tolist())
    drawn = _resampled(each, clusters or [str(place) for place in range(len(each))], resamples, rng)
    counts = np.asarray(k, dtype=np.float64)
    # Draws of few questions repeat, and equal ones have equal fits.
    different, places = np.unique(drawn, axis=0, return_inverse=True)
    a, b = np.array([_least_squares(counts, one) for one in different])[places.ravel()].T
    found = []
    for further in at:
        low, high = np.quantile(np.exp(a * float(further) ** b), [0.025, 0.975])
        value = law.at(further)
        found.append(Interval(value, min(float(low), value), max(float(high), value)))
    return found


def _check(samples: int, right: int, k: int) -> None:
    if not 0 <= right <= samples or not 1 <= k <= samples:
        raise UsageError(
            f"{right} right of {samples} samples do not determine pass@{k}",
            "give k from 1 to the number of samples, and no more right ones than samples",
        )


def _by_question(samples: Sequence[int], right: Sequence[int], k: Sequence[int]) -> Floats:
    """[questions, k]."""
    pairs = zip(samples, right, strict=True)
    return np.array([[pass_at_k(made, good, one) for one in k] for made, good in pairs])


def _resampled(
    each: Floats, clusters: Sequence[str], resamples: int, rng: np.random.Generator
) -> Floats:
    """Mean curves of bootstrap draws of clusters, [resamples, k]."""
    _, places = np.unique(np.asarray(clusters, dtype=object), return_inverse=True)
    count = int(places.max()) + 1
    sums, sizes = np.zeros((count, each.shape[1])), np.zeros(count)
    np.add.at(sums, places, each)
    np.add.at(sizes, places, 1)
    times = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    means: Floats = (times @ sums) / (times @ sizes)[:, None]
    return means


def _least_squares(k: Floats, seen: Floats) -> Floats:
    """a and b of the least-squares fit to the coverage `seen` at each k, [2]."""
    log_k = np.log(k)

    # The fit runs over the logarithms of -a and -b, so that both stay below 0.
    def powers(logs: Floats) -> Floats:
        found: Floats = np.exp(np.minimum(logs[0] - np.exp(logs[1]) * log_k, _HIGHEST))
        return found

    def errors(logs: Floats) -> Floats:
        found: Floats = np.exp(-powers(logs)) - seen
        return found

    def slopes(logs: Floats) -> Floats:
        by_a = -powers(logs) * np.exp(-powers(logs))
        return np.stack([by_a, -by_a * np.exp(logs[1]) * log_k], axis=1)

    logs = least_squares(errors, np.log([1.0, 0.3]), slopes, method="lm").x
    best: Floats = -np.exp(logs)
    return best


def _told(values: Sequence[float] | Floats) -> str:
    return ", ".join(f"{value:g}" for value in values)
