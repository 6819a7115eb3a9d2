"""A prior that can be simulated, and the network that learns its posterior (arXiv:2112.10510)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from forethought.beliefs.amortised.network import NetworkShape, PriorFittedNetwork
from forethought.beliefs.amortised.training import TrainingPlan
from forethought.beliefs.amortised.weights_file import StoredNetwork, constant
from forethought.beliefs.bars import BarBelief, bar_of

Floats = NDArray[np.float64]
Network = StoredNetwork[PriorFittedNetwork]


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
        """The prior in short."""

    @property
    def features(self) -> tuple[int, int]:
        """Features of a context token and of a query token."""

    def borders(self) -> Floats:
        """Borders of the bars, from simulated targets."""

    def batch(self, rng: np.random.Generator, count: int) -> SimulatedBatch:
        """`count` simulated data sets."""


@dataclass(frozen=True)
class PriorFitting:
    """Learns the posterior of a simulator: the loss is least at the exact one."""

    simulator: Simulator

    @property
    def prior(self) -> str:
        """The prior in short."""
        return self.simulator.prior

    def build(self, sizes: Mapping[str, int]) -> PriorFittedNetwork:
        """A network of these sizes."""
        return PriorFittedNetwork(NetworkShape(**sizes))

    def fresh(self, plan: TrainingPlan) -> Network:
        """A network before its training."""
        borders = torch.from_numpy(self.simulator.borders())
        shape = NetworkShape(*self.simulator.features, len(borders) - 1, plan.width, plan.layers)
        network = PriorFittedNetwork(shape)
        return StoredNetwork(network, self.prior, asdict(shape), {"borders": borders})

    def loss(self, stored: Network, rng: np.random.Generator, count: int) -> Tensor:
        """The mean of -log of the density at the targets."""
        batch = self.simulator.batch(rng, count)
        parts = (batch.context, batch.times, batch.queries)
        logits = stored.network(*(torch.from_numpy(one).float() for one in parts))
        borders = stored.constants["borders"]
        bars = torch.from_numpy(bar_of(borders.numpy(), batch.targets))
        entropy = functional.cross_entropy(logits.flatten(0, 1), bars.flatten())
        return entropy + borders.diff().log()[bars].mean()


def predicted(stored: Network, context: Floats, times: Floats, queries: Floats) -> BarBelief:
    """The belief about each query, given one data set."""
    borders = constant(stored, "borders", (stored.sizes["bars"] + 1,)).numpy()
    with torch.inference_mode():
        parts = (context, times, queries)
        logits = stored.network(*(torch.from_numpy(one).float()[None] for one in parts))
    return BarBelief(borders, torch.softmax(logits[0].double(), dim=-1).numpy())
