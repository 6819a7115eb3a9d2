"""The result of tuning settings: trials, their costs, and the chosen recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from forethought.contracts.comparison import Interval

Objective = Literal["flops", "seconds"]
"""The cost whose amount for each right answer is minimised."""
OBJECTIVES: tuple[Objective, ...] = ("flops", "seconds")


@dataclass(frozen=True)
class SettingsTrial:
    """One measured recipe."""

    recipe: str
    change: float | None
    """Difference of scores to the exact run, as the guard answers it; None if it was refused."""
    flops: float | None
    """Mean FLOPs of a run on the tuning half."""
    cost_of_pass: float | None
    """FLOPs, or seconds, of all runs over all right answers of the tuning half; None without a
    right one."""
    admissible: bool
    """Whether the change is at least minus the allowed loss."""
    charged: bool = False
    """Whether the answer came from the holdout half, which costs budget."""
    refused: str = ""
    engine: str = ""
    """Settings of the engine, such as `rows=8, weights=int4`."""
    seconds: float | None = None
    """Measured seconds of a question; None unless they are the objective."""


@dataclass(frozen=True)
class TunedSettings:
    """The result of `tune --settings`."""

    space: str
    candidates: int
    best: str
    """The admissible recipe of least cost-of-pass; empty if none is admissible."""
    trials: tuple[SettingsTrial, ...]
    exact_flops: float
    exact_cost_of_pass: float | None
    loss: float
    """The allowed loss of score."""
    guard: str
    """thresholdout, or one final test on the holdout half."""
    held_out: Interval | None
    """The chosen recipe's difference to exact on the holdout half; None with Thresholdout."""
    budget_left: int | None
    """Charged answers that Thresholdout has left."""
    questions: tuple[int, int]
    """Questions of the tuning half and of the holdout half."""
    surrogate: str
    seed: int
    objective: Objective = "flops"
    best_engine: str = ""
    """Engine settings of the best recipe."""
    exact_seconds: float | None = None
    """Seconds of a question of the exact run with the engine's defaults."""
    usd_per_hour: float | None = None
    """The stated price of this machine."""
    provenance: Mapping[str, str] = field(default_factory=dict)
