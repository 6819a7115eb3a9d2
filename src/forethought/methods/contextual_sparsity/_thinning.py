"""The parts that methods of contextual sparsity share: the density, and the choice by a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forethought.contracts.neurons import ActiveNeurons, NeuronChoice
from forethought.contracts.parameters import Share
from forethought.contracts.roles import Approximation
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Thinning(Approximation):
    """A method whose decode steps compute part of the MLP's neurons."""

    density: Share = 0.5
    """Share of the MLP's neurons that a token of the answer uses; 1 for all."""

    def pays(self, prompt_length: int) -> bool:
        """Whether any neuron is left out."""
        return self.density < 1.0

    def idle(self, prompt_length: int) -> str:
        """All neurons are computed."""
        return "it leaves out no neuron"


def prompt_neurons(density: float, of: int) -> ActiveNeurons | None:
    """The neurons that a choice by the prompt leaves; None for all."""
    kept = max(1, int(of * density))
    return ActiveNeurons(kept, kept) if kept < of else None


def token_neurons(density: float, of: int) -> ActiveNeurons | None:
    """The neurons that a choice by each token's gates leaves; None for all."""
    dropped = min(of - 1, int(of * (1 - density)))
    return ActiveNeurons(of, of - dropped) if dropped else None


@dataclass(frozen=True)
class FlockingChoice(NeuronChoice):
    """GRIFFIN's choice: the neurons with the largest relative activations over the prompt.

    The activations of a token count relative to their norm. The score of a neuron is the norm of
    its relative activations over the tokens.
    """

    count: int
    _squares: dict[int, Tensor] = field(default_factory=dict)
    """By layer, the squared scores [F]."""

    def see(self, layer: int, activations: Tensor) -> None:
        """Add the activations [N, F] of some prompt tokens; tokens without any count nothing."""
        wide = torch.promote_types(activations.dtype, torch.float32)
        squares = activations.to(wide).square()
        norms = squares.sum(-1, keepdim=True)
        added = (squares / norms.clamp_min(torch.finfo(wide).tiny)).sum(0)
        before = self._squares.get(layer)
        self._squares[layer] = added if before is None else before.add_(added)

    def kept(self) -> Sequence[Tensor]:
        """The indices of each layer's neurons, ascending."""
        layers = (self._squares[layer] for layer in range(len(self._squares)))
        return [one.topk(self.count).indices.sort().values for one in layers]
