"""The cache entries of a sequence between evictions during decode, as sizes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class DecodeGrowth:
    """The entries of a sequence that an eviction cuts to `left` after every so many steps."""

    entries: float
    """After the prefill."""
    left: float
    every: int
    steps: int

    @property
    def growing(self) -> int:
        """Steps until the first eviction that drops an entry."""
        ends = int((self.left - self.entries) // self.every + 1) if self.entries <= self.left else 1
        return min(self.steps, ends * self.every)

    def held(self) -> Iterator[tuple[float, int]]:
        """After these steps: entries before a step, on average, and the number of steps."""
        cycles, rest = divmod(self.steps - self.growing, self.every)
        for length, count in ((self.every, cycles), (rest, 1)):
            if length * count:
                yield self.left + (length - 1) / 2, length * count

    def evictions(self) -> Iterator[tuple[float, int]]:
        """Entries at an eviction, and the number of evictions.

        While entries grow, the first, the middle and the last eviction stand for all.
        """
        growing = self.growing // self.every
        for place, count in ((1, growing // 2), ((growing + 1) / 2, growing % 2)):
            yield self.entries + self.every * place, count
        yield self.entries + self.every * growing, growing // 2
        yield self.left + self.every, self.steps // self.every - growing
