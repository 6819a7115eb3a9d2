"""Training of a network on simulated data, in pieces that resume."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from forethought.beliefs.amortised.weights_file import StoredNetwork, read_network, write_network

_CHECKPOINT = 250
"""Steps between two checkpoints."""
NetworkT = TypeVar("NetworkT", bound=nn.Module)


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


class Learner(Protocol[NetworkT]):
    """A kind of network, and the prior that it learns."""

    @property
    def prior(self) -> str:
        """The prior in short; weights of another prior are refused."""

    def build(self, sizes: Mapping[str, int]) -> NetworkT:
        """A network of these sizes."""

    def fresh(self, plan: TrainingPlan) -> StoredNetwork[NetworkT]:
        """A network before its training."""

    def loss(self, stored: StoredNetwork[NetworkT], rng: np.random.Generator, count: int) -> Tensor:
        """The mean loss on `count` simulated data sets."""


Told = Callable[[int, float], None]
"""Called with the steps done and the mean loss since the last call."""


def train(
    learner: Learner[NetworkT], plan: TrainingPlan, file: Path, told: Told
) -> StoredNetwork[NetworkT]:
    """Train a network and write it to `file`; continue from `file`.partial if it is there.

    Every step draws its data from a generator of its own number, so a resumed training equals one
    that never stopped.
    """
    partial = file.with_name(file.name + ".partial")
    torch.manual_seed(plan.seed)
    begun = partial.exists()
    stored = read_network(partial, learner.prior, learner.build) if begun else learner.fresh(plan)
    optimiser = torch.optim.AdamW(
        stored.network.parameters(), lr=plan.learning_rate, weight_decay=1e-4
    )
    if begun:
        _restore(optimiser, stored)
    losses: list[float] = []
    for step in range(stored.step, plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate(step)
        losses.append(_step(learner, stored, optimiser, plan, step))
        if (step + 1) % _CHECKPOINT == 0 or step + 1 == plan.steps:
            saved = replace(stored, step=step + 1, moments=_moments(optimiser, stored.network))
            write_network(partial, saved)
            told(step + 1, math.fsum(losses) / len(losses))
            losses = []
    done = replace(stored, step=plan.steps, moments={})
    write_network(file, done)
    partial.unlink(missing_ok=True)
    return done


def _step(
    learner: Learner[NetworkT],
    stored: StoredNetwork[NetworkT],
    optimiser: torch.optim.AdamW,
    plan: TrainingPlan,
    step: int,
) -> float:
    loss = learner.loss(stored, np.random.default_rng([plan.seed, step]), plan.batch)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(stored.network.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _moments(optimiser: torch.optim.AdamW, network: nn.Module) -> dict[str, Tensor]:
    found = {}
    for name, weight in network.named_parameters():
        state = optimiser.state[weight]
        found[f"first.{name}"], found[f"second.{name}"] = state["exp_avg"], state["exp_avg_sq"]
    return found


def _restore(optimiser: torch.optim.AdamW, stored: StoredNetwork[NetworkT]) -> None:
    for name, weight in stored.network.named_parameters():
        optimiser.state[weight] = {
            "step": torch.tensor(float(stored.step)),
            "exp_avg": stored.moments[f"first.{name}"],
            "exp_avg_sq": stored.moments[f"second.{name}"],
        }
