"""What `tune` finds: a plan, and what it is worth on questions it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forethought.contracts.comparison import Interval
from forethought.contracts.plan import DifficultyPlan


@dataclass(frozen=True)
class Chosen:
    """A bin of the plan, on the questions it was fitted on."""

    strategy: str
    least: tuple[float, float]
    """The signs from which on questions belong here, in the order they are looked at."""
    questions: int
    score: float
    """The strategy's here, which is flattered by having been chosen for it."""
    fixed_score: float
    """Of the best single strategy here."""


@dataclass(frozen=True)
class StrategyCost:
    """What a way to answer scores and costs a question."""

    score: float
    tokens: float


@dataclass(frozen=True)
class Tuned:
    """A plan, and its worth beside that of the best single strategy."""

    plan: DifficultyPlan
    questions: int
    bins: tuple[Chosen, ...]
    fixed: str
    """The best single strategy."""
    strategies: Mapping[str, StrategyCost]
    """Each alone."""
    adapted: StrategyCost
    """Of plans on questions that they were not fitted on, the probe paid."""
    gain: Interval
    """How much more that is in score than the best single strategy's, by question."""
    worth: float
    """Points of score that a thousand tokens had to bring."""
    scorer: str = ""
    """The one that some of its strategies rank by."""
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def alone(self) -> StrategyCost:
        """Of the best single strategy, which is flattered by having been chosen by it."""
        return self.strategies[self.fixed]
