"""Fits of calibrations, and measures of how well a confidence tells right from wrong answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.calibration import (
    CalibrationKind,
    CalibrationMap,
    log_odds,
    sigmoid,
)
from forethought.contracts.comparison import Interval

Numbers = NDArray[np.float64]
BINS = 10
_STEPS = 100
_RIDGE = 1e-6
_TEMPERATURES = np.exp(np.linspace(math.log(0.01), math.log(100.0), 801))
"""The temperatures that a fit chooses among."""


def fitted(kind: CalibrationKind, values: Numbers, right: Numbers) -> CalibrationMap:
    """The map of a kind from numbers to the share of right answers; needs one answer at least."""
    assert len(values), "a calibration is fitted to answers"
    return _FITS[kind](values, right)


def isotonic(values: Numbers, right: Numbers) -> CalibrationMap:
    """The rising step function of least squared error, by pooling adjacent violators.

    Each pooled block is a step from its smallest to its greatest number; between blocks the map is
    linear.
    """
    steps, places = np.unique(values, return_inverse=True)
    totals, counts = np.bincount(places, right), np.bincount(places)
    blocks: list[_Block] = []
    for step, total, count in zip(steps, totals, counts, strict=True):
        fresh = _Block(float(step), float(step), float(total), int(count))
        while blocks and blocks[-1].mean >= fresh.mean:
            fresh = blocks.pop().joined(fresh)
        blocks.append(fresh)
    knots = dict.fromkeys(knot for one in blocks for knot in one.knots)
    return CalibrationMap(
        "isotonic", (*(value for value, _ in knots), *(chance for _, chance in knots))
    )


def platt(values: Numbers, right: Numbers) -> CalibrationMap:
    """Logistic regression on the log odds, with Platt's smoothed targets (1999).

    A slope below 0 would turn the order around; the map is then constant.
    """
    odds = np.array([log_odds(one) for one in values])
    hits, count = float(right.sum()), len(right)
    high, low = (hits + 1) / (hits + 2), 1 / (count - hits + 2)
    targets = right * high + (1 - right) * low
    slope, intercept = _logistic(odds, targets)
    if slope >= 0:
        return CalibrationMap("platt", (slope, intercept))
    return CalibrationMap("platt", (0.0, log_odds(float(targets.mean()))))


def temperature(values: Numbers, right: Numbers) -> CalibrationMap:
    """The temperature of the log odds of the greatest likelihood."""
    odds = np.array([log_odds(one) for one in values])
    scaled = odds[:, None] / _TEMPERATURES
    losses = np.logaddexp(0.0, scaled) - right[:, None] * scaled
    best = int(losses.mean(0).argmin())
    return CalibrationMap("temperature", (float(_TEMPERATURES[best]),))


_FITS: dict[CalibrationKind, Callable[[Numbers, Numbers], CalibrationMap]] = {
    "isotonic": isotonic,
    "platt": platt,
    "temperature": temperature,
}


class _Block(NamedTuple):
    """Adjacent numbers with one probability."""

    low: float
    high: float
    total: float
    answers: int

    @property
    def mean(self) -> float:
        return self.total / self.answers

    @property
    def knots(self) -> tuple[tuple[float, float], ...]:
        return (self.low, self.mean), (self.high, self.mean)

    def joined(self, later: _Block) -> _Block:
        return _Block(self.low, later.high, self.total + later.total, self.answers + later.answers)


def _logistic(odds: Numbers, targets: Numbers) -> tuple[float, float]:
    """Slope and intercept of the greatest likelihood, by Newton's method with halved steps."""
    design = np.stack([odds, np.ones_like(odds)], -1)
    weights = np.array([0.0, log_odds(float(targets.mean()))])

    def loss(at: Numbers) -> float:
        scores = design @ at
        return float((np.logaddexp(0.0, scores) - targets * scores).sum() + _RIDGE * at @ at)

    for _ in range(_STEPS):
        chances = np.array([sigmoid(one) for one in design @ weights])
        gradient = design.T @ (chances - targets) + 2 * _RIDGE * weights
        spread = chances * (1 - chances)
        curvature = design.T @ (design * spread[:, None]) + 2 * _RIDGE * np.eye(2)
        step, before = np.linalg.solve(curvature, gradient), loss(weights)
        while loss(weights - step) > before and float(np.abs(step).max()) > 1e-12:
            step = step / 2
        weights = weights - step
        if float(np.abs(step).max()) < 1e-10:
            break
    return float(weights[0]), float(weights[1])


def calibration_error(values: Numbers, right: Numbers, bins: int = BINS) -> float:
    """The expected calibration error over bins of equal width, weighted by their answers."""
    places = np.minimum((values * bins).astype(int), bins - 1)
    gaps = np.abs(
        np.bincount(places, values, minlength=bins) - np.bincount(places, right, minlength=bins)
    )
    return float(gaps.sum() / len(values))


def brier(values: Numbers, right: Numbers) -> float:
    """The mean squared distance from the number to the outcome."""
    return float(((values - right) ** 2).mean())


class RiskCoverage(NamedTuple):
    """The error rate among the answers that are given, for each share of them."""

    coverage: Numbers
    """[N] shares, ascending to 1."""
    risk: Numbers
    """[N] error rates of the surest answers up to there."""

    @property
    def area(self) -> float:
        """The mean error rate over all shares."""
        return float(self.risk.mean())

    def at(self, coverage: float) -> float:
        """The error rate at a share."""
        return float(self.risk[max(0, math.ceil(coverage * len(self.risk) - 1e-9) - 1)])


def risk_coverage(values: Numbers, right: Numbers) -> RiskCoverage:
    """Answers from the surest on; equally sure ones share their mean error."""
    order = np.argsort(-values, kind="stable")
    _, groups = np.unique(-values[order], return_inverse=True)
    sizes = np.bincount(groups)
    means = np.bincount(groups, 1 - right[order]) / sizes
    counts = np.arange(1, len(values) + 1)
    return RiskCoverage(counts / len(values), np.cumsum(means[groups]) / counts)


Measure = Callable[[Numbers, Numbers], float]


def resamples(
    clusters: Sequence[str], rng: np.random.Generator, rounds: int = 1000
) -> list[NDArray[np.int64]]:
    """The answers of each bootstrap sample, as indices; whole clusters are drawn again."""
    names, places = np.unique(np.asarray(clusters, dtype=object), return_inverse=True)
    if len(names) == len(places):
        return list(rng.integers(len(names), size=(rounds, len(names))))
    members = [np.flatnonzero(places == number) for number in range(len(names))]
    drawn = rng.integers(len(members), size=(rounds, len(members)))
    return [np.concatenate([members[one] for one in row]) for row in drawn]


def bootstrapped(
    measure: Measure, values: Numbers, right: Numbers, draws: Sequence[NDArray[np.int64]]
) -> Interval:
    """A measure with its 95 % percentile interval over `resamples`.

    Draws without a value, such as the AUROC of right answers alone, are left out.
    """
    found = [measure(values[chosen], right[chosen]) for chosen in draws]
    known = np.array([one for one in found if not math.isnan(one)])
    value = measure(values, right)
    if not len(known):
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def held_out(
    kind: CalibrationKind, values: Numbers, right: Numbers, folds: Sequence[int]
) -> Numbers:
    """Each answer's probability by a fit on the answers of all other folds."""
    numbers, found = np.asarray(folds), np.empty(len(values))
    for fold in np.unique(numbers):
        mine = numbers == fold
        fit = fitted(kind, values[~mine], right[~mine])
        found[mine] = [fit(float(one)) for one in values[mine]]
    return found
