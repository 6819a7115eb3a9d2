"""Training of a prior-data fitted network on simulated evidence, in pieces that resume."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from forethought.beliefs.amortised.network import NetworkShape, PriorFittedNetwork
from forethought.beliefs.amortised.weights_file import StoredNetwork, read_network, write_network
from forethought.beliefs.bars import bar_of

Floats = NDArray[np.float64]
_CHECKPOINT = 250
"""Steps between two checkpoints."""


@dataclass(frozen=True)
class SimulatedBatch:
    """Evidence and targets of simulated data sets."""

    context: Floats
    """[batch, tokens, features]"""
    times: Floats
    """Equal items that a token stands for, [batch, tokens]."""
    queries: Floats
    """[batch, queries, features]"""
    targets: Floats
    """[batch, queries]"""


class Simulator(Protocol):
    """A prior that can be simulated."""

    @property
    def prior(self) -> str:
        """The prior in short; weights of another prior are refused."""

    @property
    def features(self) -> tuple[int, int]:
        """Features of a context token and of a query token."""

    def borders(self) -> Floats:
        """Borders of the bars, from simulated targets."""

    def batch(self, rng: np.random.Generator, count: int) -> SimulatedBatch:
        """`count` simulated data sets."""


@dataclass(frozen=True)
class TrainingPlan:
    """Steps and sizes of a training."""

    steps: int = 5000
    batch: int = 64
    learning_rate: float = 1.5e-3
    warm_up: int = 200
    width: int = 64
    layers: int = 3
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, then a cosine."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


Told = Callable[[int, float], None]
"""Called with the steps done and the mean loss since the last call."""


def train(simulator: Simulator, plan: TrainingPlan, file: Path, told: Told) -> StoredNetwork:
    """Train a network and write it to `file`; continue from `file`.partial if it is there.

    Every step draws its data from a generator of its own number, so a resumed training equals one
    that never stopped.
    """
    partial = file.with_name(file.name + ".partial")
    network, optimiser, done = _begun(simulator, plan, partial)
    borders = torch.from_numpy(network.borders)
    losses: list[float] = []
    for step in range(done, plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate(step)
        batch = simulator.batch(np.random.default_rng([plan.seed, step]), plan.batch)
        losses.append(_step(network.network, optimiser, batch, borders))
        if (step + 1) % _CHECKPOINT == 0 or step + 1 == plan.steps:
            told(step + 1, math.fsum(losses) / len(losses))
            losses = []
            _save(partial, network, optimiser, step + 1)
    write_network(file, network, {})
    partial.unlink(missing_ok=True)
    return network


def _begun(
    simulator: Simulator, plan: TrainingPlan, partial: Path
) -> tuple[StoredNetwork, torch.optim.AdamW, int]:
    """The network, its optimiser and the steps done: of the checkpoint, or fresh ones."""
    if partial.exists():
        stored = read_network(partial, simulator.prior)
        optimiser = _optimiser(stored.network, plan)
        _restore(optimiser, stored)
        return stored, optimiser, int(stored.extra["step"])
    torch.manual_seed(plan.seed)
    context, query = simulator.features
    borders = simulator.borders()
    shape = NetworkShape(context, query, len(borders) - 1, plan.width, plan.layers)
    fresh = StoredNetwork(PriorFittedNetwork(shape), borders, simulator.prior)
    return fresh, _optimiser(fresh.network, plan), 0


def _optimiser(network: nn.Module, plan: TrainingPlan) -> torch.optim.AdamW:
    return torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-4)


def _step(
    network: PriorFittedNetwork,
    optimiser: torch.optim.AdamW,
    batch: SimulatedBatch,
    borders: Tensor,
) -> float:
    """One step on -log of the density at the targets; its expectation is least at the posterior."""
    parts = (batch.context, batch.times, batch.queries)
    logits = network(*(torch.from_numpy(one).float() for one in parts))
    bars = torch.from_numpy(bar_of(borders.numpy(), batch.targets))
    loss = functional.cross_entropy(logits.flatten(0, 1), bars.flatten())
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    widths = borders.diff().log()[bars].mean()
    return float(loss.detach()) + float(widths)


def _save(partial: Path, network: StoredNetwork, optimiser: torch.optim.AdamW, step: int) -> None:
    moments = {}
    for name, weight in network.network.named_parameters():
        state = optimiser.state[weight]
        moments[f"first.{name}"], moments[f"second.{name}"] = state["exp_avg"], state["exp_avg_sq"]
    write_network(partial, network, {"step": str(step)}, moments)


def _restore(optimiser: torch.optim.AdamW, stored: StoredNetwork) -> None:
    step = torch.tensor(float(stored.extra["step"]))
    for name, weight in stored.network.named_parameters():
        optimiser.state[weight] = {
            "step": step.clone(),
            "exp_avg": stored.moments[f"first.{name}"],
            "exp_avg_sq": stored.moments[f"second.{name}"],
        }
