"""Weighted votes over answers, and the confidence in the leader."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """A weighted vote over answers, some of which may be empty."""

    groups: tuple[int | None, ...]
    """Group of each answer; equal answers share a number, None is an empty answer without vote."""
    weights: tuple[float, ...]
    """Weight of each answer."""
    totals: dict[int, float]
    """Total weight of each group."""

    @classmethod
    def of(cls, groups: Sequence[int | None], weights: Sequence[float]) -> Tally:
        """Count these answers; weights are at least 0, so log-probabilities do not qualify."""
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
        """The group of greatest total; ties go to the first seen. None if all answers are empty."""
        return max(self.totals, key=lambda group: self.totals[group], default=None)

    @property
    def share(self) -> float | None:
        """The winner's share of the total weight; None if all answers are empty."""
        whole = math.fsum(self.totals.values())
        if self.winner is None or whole <= 0:
            return None
        return self.totals[self.winner] / whole

    def part(self, place: int) -> float | None:
        """The share of the total weight in this answer's group; None if it is empty."""
        group, whole = self.groups[place], math.fsum(self.totals.values())
        return None if group is None or whole <= 0 else self.totals[group] / whole

    def best(self, quality: Sequence[float]) -> int:
        """The index of the winner's best member by `quality`; ties go to the first.

        If all answers are empty, every answer is a member.
        """
        winner = self.winner
        members = [place for place, group in enumerate(self.groups) if group == winner]
        return max(members, key=lambda place: quality[place])


def borda(scores: Sequence[float], power: float) -> list[float]:
    """Borda weights by rank among n: 1, (1 - 1/n)^power, (1 - 2/n)^power and so on.

    Equal scores get equal weights. Power 0 weighs all alike; a greater power favours the best.
    """
    size = len(scores)
    ranks = [sum(other > one for other in scores) for one in scores]
    return [(1.0 - float(rank) / size) ** power for rank in ranks]


def leader_chance(groups: Sequence[int | None]) -> float:
    """The posterior probability that the leading answer is likelier than the runner-up.

    It uses their two counts, under a uniform prior on the leader's share.
    """
    counts = Counter(group for group in groups if group is not None).most_common(2)
    first = counts[0][1] if counts else 0
    second = counts[1][1] if len(counts) > 1 else 0
    return 1.0 - beta_half(first + 1, second + 1)


def beta_half(a: int, b: int) -> float:
    """The regularised incomplete beta function at one half, for whole a and b of at least 1.

    It is the probability of at least a heads in a + b - 1 tosses of a fair coin.
    """
    tosses = a + b - 1
    heads = sum(math.comb(tosses, count) for count in range(a, tosses + 1))
    return heads / (1 << tosses)
