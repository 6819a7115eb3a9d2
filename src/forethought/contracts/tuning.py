"""The result of `tune`: a plan and its cross-validated gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forethought.contracts.comparison import Interval
from forethought.contracts.plan import DifficultyPlan


@dataclass(frozen=True)
class Chosen:
    """A bin of the plan, on the questions of the fit."""

    strategy: str
    least: tuple[float, float]
    """The minimum signals of a question in this bin, in the order of comparison."""
    questions: int
    score: float
    """The strategy's score in this bin, biased upwards by the selection."""
    fixed_score: float
    """The score of the best single strategy in this bin."""


@dataclass(frozen=True)
class StrategyCost:
    """The mean score and tokens per question."""

    score: float
    tokens: float


@dataclass(frozen=True)
class Tuned:
    """A plan compared with the best single strategy."""

    plan: DifficultyPlan
    questions: int
    bins: tuple[Chosen, ...]
    fixed: str
    """The best single strategy."""
    strategies: Mapping[str, StrategyCost]
    """Each strategy alone."""
    adapted: StrategyCost
    """Cross-validated plans, on held-out questions, with the cost of the probe."""
    gain: Interval
    """The score of `adapted` minus the best single strategy's, paired by question."""
    worth: float
    """Points of score that a thousand tokens must earn."""
    scorer: str = ""
    """The scorer of the strategies that rank."""
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def alone(self) -> StrategyCost:
        """The best single strategy's cost and score, biased upwards by the selection."""
        return self.strategies[self.fixed]
