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

from forethought.contracts.comparison import Interval
from forethought.contracts.errors import UsageError

Floats = NDArray[np.float64]


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
        (a,), (b,) = _least_squares(np.asarray(k, dtype=np.float64), values[None])
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
    a, b = _least_squares(np.asarray(k, dtype=np.float64), drawn)
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


def _least_squares(k: Floats, seen: Floats, rounds: int = 200) -> tuple[Floats, Floats]:
    """a and b of each row of `seen`, [rows, k], by Levenberg and Marquardt's method.

    It looks for the logarithms of -a and -b, so that both stay below 0. Each row is damped alone.
    """
    log_k = np.log(k)
    rows = len(seen)
    best = np.tile(np.log([1.0, 0.3]), (rows, 1))
    damping, done = np.full(rows, 1e-2), np.zeros(rows, dtype=bool)
    left = _errors(best, log_k, seen)
    for _ in range(rounds):
        trial = np.clip(best + _step(best, log_k, left, damping), -30, 12)
        errors = _errors(trial, log_k, seen)
        before, after = (left**2).sum(1), (errors**2).sum(1)
        better = after < before
        best[better], left[better] = trial[better], errors[better]
        # A row is done where free steps gain nothing, or where not even the shortest ones do.
        done |= (better & (before - after < 1e-12 * before) & (damping < 0.1)) | (damping > 1e8)
        if done.all():
            break
        damping = np.clip(np.where(better, damping / 5, damping * 4), 1e-10, 1e12)
    return -np.exp(best[:, 0]), -np.exp(best[:, 1])


def _curves(logs: Floats, log_k: Floats) -> tuple[Floats, Floats]:
    """-a k^b and exp(a k^b) of each row."""
    powers = np.exp(logs[:, :1] - np.exp(logs[:, 1:]) * log_k)
    return powers, np.exp(-powers)


def _errors(logs: Floats, log_k: Floats, seen: Floats) -> Floats:
    return seen - _curves(logs, log_k)[1]


def _step(logs: Floats, log_k: Floats, errors: Floats, damping: Floats) -> Floats:
    """The damped step of Gauss and Newton of each row, [rows, 2]."""
    powers, curves = _curves(logs, log_k)
    by_a = -powers * curves
    by_b = -by_a * np.exp(logs[:, 1:]) * log_k
    slopes = np.stack([by_a, by_b], axis=-1)  # [rows, k, 2]
    normal = slopes.transpose(0, 2, 1) @ slopes
    diagonal = np.einsum("rii->ri", normal)
    diagonal *= 1 + damping[:, None]
    diagonal += 1e-300 + 1e-12 * damping[:, None]
    towards = (slopes * errors[..., None]).sum(1)
    found: Floats = np.linalg.solve(normal, towards[..., None])[..., 0]
    return found


def _told(values: Sequence[float] | Floats) -> str:
    return ", ".join(f"{value:g}" for value in values)
