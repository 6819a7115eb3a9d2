"""The networks that can be trained, by name."""

from __future__ import annotations

from pathlib import Path

from forethought.beliefs.amortised.coverage import CoverageSimulator
from forethought.beliefs.amortised.distribution_transformer import FilterLearner
from forethought.beliefs.amortised.learning_curve import CurveSimulator
from forethought.beliefs.amortised.prior_fitted import PriorFitting
from forethought.beliefs.amortised.training import Told, TrainingPlan, train


def train_named(name: str, plan: TrainingPlan, file: Path, told: Told) -> None:
    """Train the network of one of `contracts.beliefs.NETWORKS` and write it to `file`."""
    if name == "rate-filter":
        train(FilterLearner(), plan, file, told)
    else:
        simulator = CoverageSimulator() if name == "coverage" else CurveSimulator()
        train(PriorFitting(simulator), plan, file, told)
