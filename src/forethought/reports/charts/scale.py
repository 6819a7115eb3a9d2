"""Scales of charts: values to pixels, and round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FACTORS = ((1, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
_WIDE = 5.0  # log scales below this range get linear ticks


@dataclass(frozen=True)
class Scale:
    """A map of values from `low` to `high` to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    """Whether the scale is logarithmic."""

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high, here = (
            (math.log(one) if self.log else one) for one in (self.low, self.high, value)
        )
        return self.start + (here - low) / (high - low) * (self.end - self.start)


def log_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """A log scale around positive values, with a margin."""
    low, high = min(values), max(values)
    margin = max((high / low) ** 0.07, 1.1)
    return Scale(low / margin, high * margin, start, end, log=True)


def linear_scale(
    values: Sequence[float], start: float, end: float, *, within: tuple[float, float] | None = None
) -> Scale:
    """A linear scale around values that ends at round values, clipped to `within`."""
    low, high = min(values), max(values)
    step = _round_step(max(high - low, 1e-9 + abs(high) * 1e-6) / 5)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if within:
        low, high = max(low, within[0]), min(high, within[1])
    if low >= high:
        low, high = low - step, high + step
    return Scale(low, high, start, end)


def ticks(scale: Scale, most: int, *, binary: bool = False) -> list[float]:
    """At most `most` round values on a scale; powers of two if `binary`."""
    wide = scale.log and scale.high >= _WIDE * scale.low
    return _powers(scale, most, binary) if wide else _steps(scale, most, binary)


def _steps(scale: Scale, most: int, binary: bool) -> list[float]:
    least = (scale.high - scale.low) / most
    step = 2.0 ** math.ceil(math.log2(least)) if binary else _round_step(least)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _powers(scale: Scale, most: int, binary: bool) -> list[float]:
    radix = 2 if binary else 10
    first = math.floor(math.log(scale.low, radix))
    last = math.ceil(math.log(scale.high, radix))
    for every in range(1, last - first + 2):
        for factors in ((1,),) if binary else _FACTORS:
            found = [
                factor * float(radix) ** power
                for power in range(first, last + 1)
                for factor in factors
                if power % every == 0
            ]
            found = [value for value in found if scale.low <= value <= scale.high]
            if len(found) <= most:
                return found
    return []


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
