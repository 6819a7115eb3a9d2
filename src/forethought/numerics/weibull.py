"""Two kinds of numbers told apart: a mixture of two Weibull laws, fitted by likelihood.

The fit starts from one place and stays within bounds, as the released code of perplexity
consistency does (arXiv:2502.00511); it is the local optimum that is reached from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

START = np.array([0.5, 1.0, 1.0, 1.5, 2.0])
"""Share of the first law, its shape and scale, shape and scale of the second."""
LOW = np.array([0.2, 0.01, 0.01, 0.01, 0.01])
HIGH = np.array([0.8, np.inf, np.inf, np.inf, np.inf])
_LEAST = 1e-300  # a number of 0 has no density where a shape is below 1
_ENOUGH = 2e-9  # a gain below this share of the loss ends the fit
_REMEMBERED = 10  # steps whose bends are kept
_STEEPEST = 600.0  # exp of more is beyond what a float holds


@dataclass(frozen=True)
class Mixture:
    """Two Weibull laws, the one of the higher mean first."""

    share: float
    """Of the first law."""
    shapes: tuple[float, float]
    scales: tuple[float, float]

    @classmethod
    def of(cls, place: Numbers) -> Mixture:
        """The mixture of such parameters as START holds."""
        share, *laws = (float(value) for value in place)
        first, second = (laws[0], laws[1]), (laws[2], laws[3])
        if _mean(*first) < _mean(*second):
            share, first, second = 1 - share, second, first
        return cls(share, (first[0], second[0]), (first[1], second[1]))

    def first(self, values: Numbers) -> Numbers:
        """The chance that each value comes from the first law."""
        place = np.array([self.share, self.shapes[0], self.scales[0], *self._second])
        chances, _ = _parts(place, np.log(np.maximum(values, _LEAST)))
        return np.asarray(np.exp(chances[0]))

    @property
    def _second(self) -> tuple[float, float]:
        return self.shapes[1], self.scales[1]


def fitted(values: Numbers, steps: int = 300) -> Mixture:
    """The mixture that is fitted to values of at least 0, in at most so many steps.

    Bounded quasi-Newton: parameters at a bound that the slope points through stay there.
    """
    logs = np.log(np.maximum(values, _LEAST))
    here = _Place.of(START, logs)
    bends: list[tuple[Numbers, Numbers]] = []
    for _ in range(steps):
        if np.abs(here.at - np.clip(here.at - here.slope, LOW, HIGH)).max() < 1e-5:
            break
        way = _way(here, bends)
        moved = _lower(here, way, logs, 1.0 if bends else min(1.0, 1 / _length(way)))
        if moved is None and not bends:
            break
        if moved is None:  # what was learnt of the bends misleads: begin anew
            bends = []
            continue
        step, turn = moved.at - here.at, moved.slope - here.slope
        if step @ turn > 1e-10 * _length(step) * _length(turn):
            bends = [*bends[1 - _REMEMBERED :], (step, turn)]
        gain, here = here.loss - moved.loss, moved
        if gain < _ENOUGH * max(1.0, abs(here.loss)):
            break
    return Mixture.of(here.at)


def unlikely(values: Numbers) -> NDArray[np.bool_]:
    """Which values belong to the lower of two laws rather than the higher, and are below average.

    Never all of them: the greatest value is not below the average.
    """
    # Rounding may put the average of equal values just above them.
    below = values < values.mean() * (1 - 1e-12)
    if not below.any():
        return np.asarray(below)
    return np.asarray(below & (fitted(values).first(values) < 0.5))


@dataclass(frozen=True)
class _Place:
    """Parameters, and how the fit does there."""

    at: Numbers
    loss: float
    slope: Numbers

    @classmethod
    def of(cls, at: Numbers, logs: Numbers) -> _Place:
        return cls(at, *surprise(at, logs))


def surprise(place: Numbers, logs: Numbers) -> tuple[float, Numbers]:
    """The negative log-likelihood of values by their logarithms, and its slope (5 numbers)."""
    share, shapes, scales = place[0], place[1::2, None], place[2::2, None]
    chances, whole = _parts(place, logs)
    belong = np.exp(chances)
    away = logs - np.log(scales)
    bent = 1 - np.exp(np.minimum(shapes * away, _STEEPEST))
    by_shape = (belong * (1 / shapes + away * bent)).sum(1)
    by_scale = -(belong * bent).sum(1) * place[1::2] / place[2::2]
    by_share = belong[0].sum() / share - belong[1].sum() / (1 - share)
    slope = -np.array([by_share, by_shape[0], by_scale[0], by_shape[1], by_scale[1]])
    return -float(whole.sum()), slope


def _parts(place: Numbers, logs: Numbers) -> tuple[Numbers, Numbers]:
    """Log-chances (2 × values) that each comes from either law, and its log-density."""
    share, shapes, scales = place[0], place[1::2, None], place[2::2, None]
    away = logs - np.log(scales)
    bent = np.exp(np.minimum(shapes * away, _STEEPEST))
    density = np.log(shapes / scales) + (shapes - 1) * away - bent
    joint = density + np.log([[share], [1 - share]])
    whole = np.logaddexp(joint[0], joint[1])
    return joint - whole, whole


def _mean(shape: float, scale: float) -> float:
    return math.log(scale) + math.lgamma(1 + 1 / shape)


def _way(here: _Place, bends: Sequence[tuple[Numbers, Numbers]]) -> Numbers:
    """From here to the lowest place within the bounds, as far as the bends tell."""
    curve = np.eye(5)
    if bends:
        step, turn = bends[-1]
        curve *= (turn @ turn) / (step @ turn)
    for step, turn in bends:
        pushed = curve @ step
        curve += np.outer(turn, turn) / (step @ turn) - np.outer(pushed, pushed) / (step @ pushed)
    slope = here.slope
    free = ~(((here.at <= LOW) & (slope > 0)) | ((here.at >= HIGH) & (slope < 0)))
    way = np.zeros(5)
    way[free] = -np.linalg.solve(curve[np.ix_(free, free)], slope[free])
    way = np.clip(here.at + way, LOW, HIGH) - here.at
    if way @ slope < 0:
        return way
    return np.asarray(np.clip(here.at - np.where(free, slope, 0.0), LOW, HIGH) - here.at)


def _lower(here: _Place, way: Numbers, logs: Numbers, share: float) -> _Place | None:
    """A place on the way, lower as its slope promises and past most of the slope; or None."""
    promised = float(here.slope @ way)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(way > 0, (HIGH - here.at) / way, (LOW - here.at) / way)
    farthest = float(np.nanmin(np.where(way == 0, np.inf, room)))
    near, far, best = 0.0, np.inf, None
    for _ in range(30):
        there = _Place.of(np.clip(here.at + share * way, LOW, HIGH), logs)
        if not there.loss <= here.loss + 1e-3 * share * promised:
            far = share
        elif there.slope @ way < 0.9 * promised and share < farthest:
            near, best = share, there
        else:
            return there
        share = min(2 * share, farthest) if np.isinf(far) else (near + far) / 2
    return best


def _length(way: Numbers) -> float:
    return float(np.linalg.norm(way))
