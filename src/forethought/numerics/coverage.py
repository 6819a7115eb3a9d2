"""Coverage: how likely one of k samples is right, and the law by which it grows with k.

Coverage is what a perfect choice among the samples would reach, not what a strategy does. The
estimator is that of arXiv:2107.03374, the law exp(a k^b) that of arXiv:2407.21787.
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
_HIGHEST = 600.0  # exp of more is beyond what a float holds


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The chance that one of k samples is right, k of them drawn from those that were made.

    Unbiased for the chance that one of k new samples is, unlike 1 - (1 - right / samples)^k.
    UsageError for k beyond the samples.
    """
    _check(samples, right, k)
    if samples - right < k:
        return 1.0
    wrong = np.arange(samples - right + 1, samples + 1)
    return -math.expm1(float(np.log1p(-k / wrong).sum())) if right else 0.0


def all_pass_at_k(samples: int, right: int, k: int) -> float:
    """The chance that all of k samples are right, k of them drawn from those that were made."""
    return 1.0 - pass_at_k(samples, samples - right, k)


def coverage(samples: Sequence[int], right: Sequence[int], k: Sequence[int]) -> Floats:
    """The mean of `pass_at_k` over questions, at each k; samples and right ones by question."""
    mean: Floats = _by_question(samples, right, k).mean(axis=0)
    return mean


def spread(most: int, points: int = 25) -> list[int]:
    """At most so many whole numbers from 1 to `most`, evenly spread by their logarithms."""
    return sorted({round(k) for k in np.geomspace(1, most, points)})


def beta_coverage(a: float, b: float, k: float) -> float:
    """Coverage where chances of success are drawn from Beta(a, b): 1 - B(a, b + k) / B(a, b)."""
    missed = math.lgamma(b + k) - math.lgamma(b) + math.lgamma(a + b) - math.lgamma(a + b + k)
    return -math.expm1(missed)


@dataclass(frozen=True)
class PowerLaw:
    """Coverage of exp(a k^b); neither a nor b is above 0."""

    a: float
    b: float

    def at(self, k: float) -> float:
        """Coverage of k samples."""
        return math.exp(self.a * k**self.b)

    @classmethod
    def fitted(cls, k: Sequence[int], seen: Sequence[float]) -> PowerLaw:
        """The law of least squares to coverage as seen at each k.

        UsageError where it is seen at fewer than two k, or is 0 at all or 1 at all of them.
        """
        values = np.asarray(seen, dtype=np.float64)
        if len(set(k)) < 2 or values.max() <= 0 or values.min() >= 1:
            raise UsageError(
                f"coverage of {_told(values)} at k = {_told(k)} shows no law",
                "give coverage at two k or more that is not 0 or 1 everywhere",
            )
        a, b = _least_squares(np.asarray(k, dtype=np.float64), values)
        return cls(float(a), float(b))

    @classmethod
    def regressed(cls, k: Sequence[int], seen: Sequence[float]) -> PowerLaw:
        """The straight line of log(-log coverage) over log k.

        UsageError where it is seen at fewer than two k, or is 0 or 1 at one of them.
        """
        values = np.asarray(seen, dtype=np.float64)
        if len(set(k)) < 2 or values.min() <= 0 or values.max() >= 1:
            raise UsageError(
                f"coverage of {_told(values)} at k = {_told(k)} has no logarithms to draw "
                "a line through",
                "leave out where it is 0 or 1, or fit it by least squares",
            )
        x, y = np.log(np.asarray(k, dtype=np.float64)), np.log(-np.log(values))
        slope = float((x - x.mean()) @ y / ((x - x.mean()) @ (x - x.mean())))
        return cls(-math.exp(float(y.mean()) - slope * float(x.mean())), slope)


def foreseen(
    samples: Sequence[int],
    right: Sequence[int],
    at: Sequence[int],
    rng: np.random.Generator,
    clusters: Sequence[str] = (),
    resamples: int = 1000,
) -> list[Interval]:
    """Coverage at each of `at`, by the fitted law, with its 95 % bootstrap interval.

    `at` may lie beyond the samples. Questions are drawn anew, those of a cluster together; the
    intervals cover which questions were drawn, and not whether the law holds so far out.
    UsageError where `PowerLaw.fitted` has nothing to fit.
    """
    k = spread(min(samples))
    each = _by_question(samples, right, k)
    law = PowerLaw.fitted(k, each.mean(axis=0).tolist())
    drawn = _resampled(each, clusters or [str(place) for place in range(len(each))], resamples, rng)
    counts = np.asarray(k, dtype=np.float64)
    a, b = np.array([_least_squares(counts, one) for one in drawn]).T
    found = []
    for further in at:
        low, high = np.quantile(np.exp(a * float(further) ** b), [0.025, 0.975])
        value = law.at(further)
        found.append(Interval(value, min(float(low), value), max(float(high), value)))
    return found


def _check(samples: int, right: int, k: int) -> None:
    if not 0 <= right <= samples or not 1 <= k <= samples:
        raise UsageError(
            f"{right} right of {samples} samples tell nothing of {k} samples",
            "give k from 1 to the samples, and as many right ones at most",
        )


def _by_question(samples: Sequence[int], right: Sequence[int], k: Sequence[int]) -> Floats:
    """[questions, k]."""
    pairs = zip(samples, right, strict=True)
    return np.array([[pass_at_k(made, good, one) for one in k] for made, good in pairs])


def _resampled(
    each: Floats, clusters: Sequence[str], resamples: int, rng: np.random.Generator
) -> Floats:
    """Mean curves of clusters drawn anew, [resamples, k]."""
    _, places = np.unique(np.asarray(clusters, dtype=object), return_inverse=True)
    count = int(places.max()) + 1
    sums, sizes = np.zeros((count, each.shape[1])), np.zeros(count)
    np.add.at(sums, places, each)
    np.add.at(sizes, places, 1)
    times = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    means: Floats = (times @ sums) / (times @ sizes)[:, None]
    return means


def _least_squares(k: Floats, seen: Floats) -> Floats:
    """a and b that are nearest to coverage `seen` at each k, [2]."""
    log_k = np.log(k)

    # It looks for the logarithms of -a and -b, so that both stay below 0.
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
