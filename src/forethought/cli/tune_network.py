"""`forethought tune --train-pfn`: a network trained on a simulated prior."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.grammar import Given
from forethought.cli.terminal import report, report_json
from forethought.contracts.beliefs import NETWORKS
from forethought.contracts.errors import UnknownNameError, UsageError


def run(given: Given) -> int:
    """Train a network, or go on with a training that stopped; no stored answers are read."""
    name = given[options.TRAIN_PFN] or ""
    if name not in NETWORKS:
        raise UnknownNameError.among("network", name, NETWORKS)
    wanted = given[options.PLAN]
    if not wanted:
        raise UsageError("the network has no file", "name one with -o FILE.safetensors")
    file = Path(wanted)
    files.check(file, [".safetensors"])
    # Imported late, so that wrong usage fails without waiting for it.
    from forethought.beliefs.amortised.learners import train_named
    from forethought.beliefs.amortised.training import TrainingPlan

    plan = TrainingPlan(steps=given[options.STEPS])
    losses: list[float | None] = []

    def told(step: int, loss: float) -> None:
        losses.append(loss)
        report(f"step {step:,} of {plan.steps:,}, mean loss {loss:.4f}", sys.stderr)

    train_named(name, plan, file, told)
    found = {
        "network": name,
        "file": str(file),
        "steps": plan.steps,
        "loss": (losses or [None])[-1],
    }
    if given[options.JSON]:
        report_json(json.dumps(found))
    else:
        report(f"{name} is in {file}, trained on {plan.steps:,} batches of simulated data.")
    return 0
