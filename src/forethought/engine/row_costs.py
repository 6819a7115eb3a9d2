"""Measured seconds of decode passes by their number of rows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

_SLOPE = 0.02
"""Assumed share by which a row lengthens a pass, beyond the numbers of rows that were measured."""
_WEIGHT = 0.2
"""Weight of a new measurement."""
_FASTER = 0.5
"""The same for one that is faster: other work on the machine only ever slows a pass."""
_FORGOTTEN = 512
"""Passes after which a number of rows that none of them had is measured anew."""


class RowCosts:
    """The seconds of a network's decode passes, as they run."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._seen: dict[int, int] = {}
        """By number of rows, the latest pass that had so many."""
        self._passes = 0

    def learn(self, rows: int, seconds: float) -> None:
        """Count a pass."""
        self._passes += 1
        known = self._seconds.get(rows)
        if known is None:
            self._seconds[rows] = seconds
        else:
            weight = _FASTER if seconds < known else _WEIGHT
            self._seconds[rows] = known + weight * (min(seconds, 2 * known) - known)
        self._seen[rows] = self._passes
        for old in [one for one, at in self._seen.items() if self._passes - at > _FORGOTTEN]:
            del self._seen[old], self._seconds[old]

    def ratio(self, rows: int, more: int) -> float:
        """The seconds of a pass with so many more rows, beside those of one with `rows`."""
        least = self.seconds(rows)
        return max(1.0, self.seconds(rows + more) / least) if least > 0 else 1.0

    def seconds(self, rows: int) -> float:
        """Seconds of a pass, interpolated between measured ones; 0 before the first one."""
        known = sorted(self._seconds)
        if not known:
            return 0.0
        at = bisect_left(known, rows)
        if at == len(known):
            return self._seconds[known[-1]] * (1 + _SLOPE * (rows - known[-1]))
        if known[at] == rows or at == 0:
            return self._seconds[known[at]] / (1 + _SLOPE * (known[at] - rows))
        low, high = known[at - 1], known[at]
        share = (rows - low) / (high - low)
        return self._seconds[low] * (1 - share) + self._seconds[high] * share


@dataclass(frozen=True)
class DraftCost:
    """What a decode pass of `rows` sequences costs with drafted tokens."""

    costs: RowCosts
    rows: int
    clock: Callable[[], float]

    def ratio(self, drafted: int) -> float:
        """Its seconds with so many drafted tokens, beside those without."""
        return self.costs.ratio(self.rows, drafted)

    def share(self, seconds: float) -> float:
        """Seconds beside those of the pass without drafted tokens."""
        least = self.costs.seconds(self.rows)
        return seconds / least if least > 0 else 0.0
