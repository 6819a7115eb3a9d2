"""Spread the answers over several temperatures; stop early where all of them agree.

Paper: On the Role of Temperature Sampling in Test-Time Scaling, arXiv:2510.02611
Exact: with temperatures=1, greedy=false and window=n it is a majority vote at the temperature
    `low`, with n=1 the plain answer at it.
Cost: n answers in all, fewer where they agree; temperatures are drawn one after another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from forethought.contracts.errors import BadParameterError
from forethought.contracts.names import method_name
from forethought.contracts.parameters import Count, Range, Share
from forethought.contracts.search import Candidate, Found, Search, Strategy, group, write
from forethought.methods.search._answers import cut, elected
from forethought.numerics.votes import Tally

Temperature = Annotated[float, Range(0, 10)]


@dataclass(frozen=True)
class TemperatureVote(Strategy):
    """The most frequent of n answers that were drawn at different temperatures."""

    n: Count = 40
    """Answers drawn at all temperatures together, at most."""
    low: Temperature = 0.4
    """The lowest temperature above 0."""
    high: Temperature = 1.2
    """The highest temperature."""
    temperatures: Count = 9
    """How many, evenly spaced from the lowest to the highest; one is the lowest."""
    greedy: bool = True
    """Whether one answer of n is the likeliest, token by token."""
    window: Count = 4
    """Answers of each temperature before it is asked again whether all agree."""
    within: Share = 0.8
    """Share of a temperature's answers that must say the same for it to be sure."""
    across: Share = 1.0
    """Share of the temperatures, all sure, whose answers must say the same to stop."""

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise BadParameterError(
                f"{method_name(type(self))}: low={self.low:g} is above high={self.high:g}",
                "give the lowest temperature as low",
            )

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Draw a few of each, until all are drawn or agree; then count."""
        arms = self._arms()
        answers: list[Candidate] = []
        groups: list[int | None] = []
        while any(arm.left for arm in arms) and not cut(answers):
            for arm in arms:
                few = min(self.window, arm.left)
                if few and not cut(answers):
                    arm.places += range(len(answers), len(answers) + few)
                    answers += yield from write([start] * few, temperature=arm.temperature)
                    arm.left -= few
            groups = yield from group(answers)
            if self._agree([arm.said(groups) for arm in arms]):
                break
        tally = Tally.of(groups, [1.0] * len(answers))
        best = elected(answers, tally, [one.likelihood for one in answers])
        return Found(answers[best], tuple(answers), tally.weights, tally.part(best))

    def _arms(self) -> list[_Arm]:
        """The temperatures, and how many answers each is to give."""
        first = [_Arm(0.0, 1)] if self.greedy else []
        grid = np.linspace(self.low, self.high, self.temperatures)
        each, more = divmod(self.n - len(first), self.temperatures)
        others = [
            _Arm(round(float(warmth), 6), each + (place < more))
            for place, warmth in enumerate(grid)
        ]
        return [arm for arm in first + others if arm.left]

    def _agree(self, said: Sequence[list[int | None]]) -> bool:
        """Whether every temperature is sure, and enough of them of the same."""
        leaders = [_leader(groups, self.within) for groups in said]
        return None not in leaders and _leader(leaders, self.across) is not None


@dataclass
class _Arm:
    """A temperature."""

    temperature: float
    left: int
    """Answers to be drawn."""
    places: list[int] = field(default_factory=list)
    """Of its answers among all."""

    def said(self, groups: Sequence[int | None]) -> list[int | None]:
        """What its answers say."""
        return [groups[place] for place in self.places]


def _leader(groups: Sequence[int | None], share: float) -> int | None:
    """What at least this share of all says; those that say nothing count against it."""
    counts = Counter(group for group in groups if group is not None).most_common(1)
    if not counts or counts[0][1] < share * len(groups) - 1e-9:
        return None
    return counts[0][0]
