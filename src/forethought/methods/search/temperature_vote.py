"""Sample answers at several temperatures; stop early if all temperatures agree.

Paper: On the Role of Temperature Sampling in Test-Time Scaling, arXiv:2510.02611
Published: paper; without a verifier: if the temperatures disagree, all answers vote.
Exact: equals a majority vote at the temperature `low` at temperatures=1, greedy=false and window=n;
    with n=1 too, one plain sample.
Cost: n answers in all, fewer if they agree; temperatures are sampled in sequence.
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
from forethought.methods.search._answers import budget_spent, elected
from forethought.numerics.votes import Tally

Temperature = Annotated[float, Range(0, 10)]


@dataclass(frozen=True)
class TemperatureVote(Strategy):
    """The most frequent of n answers at different temperatures."""

    n: Count = 40
    """Most answers over all temperatures."""
    low: Temperature = 0.4
    """Lowest temperature above 0."""
    high: Temperature = 1.2
    """Highest temperature."""
    temperatures: Count = 9
    """Temperatures, evenly spaced from low to high; one is low."""
    greedy: bool = True
    """Make one of the n answers greedy."""
    window: Count = 4
    """Answers per temperature between two checks for agreement."""
    within: Share = 0.8
    """Share of a temperature's answers that must agree."""
    across: Share = 1.0
    """Share of the temperatures that must agree to stop early."""

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise BadParameterError(
                f"{method_name(type(self))}: low={self.low:g} is above high={self.high:g}",
                "give the lowest temperature as low",
            )

    @property
    def most_answers(self) -> int:
        """n, unless the first round draws all answers."""
        return self.n if any(arm.left > self.window for arm in self._arms()) else 0

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Sample in rounds until all temperatures agree or n answers exist; then count."""
        arms = self._arms()
        answers: list[Candidate] = []
        groups: list[int | None] = []
        while any(arm.left for arm in arms) and not budget_spent(answers):
            for arm in arms:
                few = min(self.window, arm.left)
                if few and not budget_spent(answers):
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
        """The temperatures and their numbers of answers."""
        first = [_Arm(0.0, 1)] if self.greedy else []
        grid = np.linspace(self.low, self.high, self.temperatures)
        each, more = divmod(self.n - len(first), self.temperatures)
        others = [
            _Arm(round(float(warmth), 6), each + (place < more))
            for place, warmth in enumerate(grid)
        ]
        return [arm for arm in first + others if arm.left]

    def _agree(self, said: Sequence[list[int | None]]) -> bool:
        """Whether every temperature agrees within itself, and enough of them with each other."""
        leaders = [_leader(groups, self.within) for groups in said]
        return None not in leaders and _leader(leaders, self.across) is not None


@dataclass
class _Arm:
    """A temperature and its answers."""

    temperature: float
    left: int
    """Answers still to sample."""
    places: list[int] = field(default_factory=list)
    """Indices of its answers."""

    def said(self, groups: Sequence[int | None]) -> list[int | None]:
        """The groups of its answers."""
        return [groups[place] for place in self.places]


def _leader(groups: Sequence[int | None], share: float) -> int | None:
    """The group with at least this share; answers without a group count against it."""
    counts = Counter(group for group in groups if group is not None).most_common(1)
    if not counts or counts[0][1] < share * len(groups) - 1e-9:
        return None
    return counts[0][0]
