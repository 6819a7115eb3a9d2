"""Counting answers: weighted votes, and how sure the leader is of staying ahead."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """A vote of answers, some of which may say nothing."""

    groups: tuple[int | None, ...]
    """By answer: equal numbers are equal answers; None says nothing and counts for nothing."""
    weights: tuple[float, ...]
    """By answer."""
    totals: dict[int, float]
    """By group."""

    @classmethod
    def of(cls, groups: Sequence[int | None], weights: Sequence[float]) -> Tally:
        """Count these answers; weights are at least 0, so no logarithms of chances."""
        assert all(weight >= 0 for weight in weights), "a vote counts for nothing or more"
        totals: dict[int, float] = {}
        counted = []
        for group, weight in zip(groups, weights, strict=True):
            counted.append(0.0 if group is None else weight)
            if group is not None:
                totals[group] = totals.get(group, 0.0) + weight
        return cls(tuple(groups), tuple(counted), totals)

    @property
    def winner(self) -> int | None:
        """The group of the greatest total, of equal ones the first seen; None without any."""
        return max(self.totals, key=lambda group: self.totals[group], default=None)

    @property
    def share(self) -> float | None:
        """The winner's part of all weight; None where nothing was said."""
        whole = math.fsum(self.totals.values())
        if self.winner is None or whole <= 0:
            return None
        return self.totals[self.winner] / whole

    def part(self, place: int) -> float | None:
        """The part of all weight that says what this answer says; None where it says nothing."""
        group, whole = self.groups[place], math.fsum(self.totals.values())
        return None if group is None or whole <= 0 else self.totals[group] / whole

    def best(self, quality: Sequence[float]) -> int:
        """The place of the winner's best member by `quality`, of equal ones the first.

        Where nothing was said, the best of all.
        """
        winner = self.winner
        members = [place for place, group in enumerate(self.groups) if group == winner]
        return max(members, key=lambda place: quality[place])


def borda(scores: Sequence[float], power: float) -> list[float]:
    """Weights by rank among n: 1 for the best, then (1 - 1/n)^power, (1 - 2/n)^power and so on.

    Equal scores get the same. With power 0 all do; the greater it is, the less others count
    beside the best.
    """
    size = len(scores)
    ranks = [sum(other > one for other in scores) for one in scores]
    return [(1.0 - float(rank) / size) ** power for rank in ranks]


def leader_chance(groups: Sequence[int | None]) -> float:
    """The probability that the leading answer is likelier than the runner-up.

    Their counts against each other, under a uniform prior on the leader's share of the two.
    """
    counts = Counter(group for group in groups if group is not None).most_common(2)
    first = counts[0][1] if counts else 0
    second = counts[1][1] if len(counts) > 1 else 0
    return 1.0 - beta_half(first + 1, second + 1)


def beta_half(a: int, b: int) -> float:
    """The regularised incomplete beta function at one half, for whole a and b of at least 1.

    It is the chance of at least a heads in a + b - 1 tosses of a fair coin.
    """
    tosses = a + b - 1
    heads = sum(math.comb(tosses, count) for count in range(a, tosses + 1))
    return heads / (1 << tosses)
