"""Which neurons of the gated MLP a decode step computes, and how the full model corrects it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from forethought.contracts.errors import UnsupportedModelError

if TYPE_CHECKING:
    from torch import Tensor


ANY_NEURONS = 1 << 20
"""Neurons of an MLP of which every density below 1 leaves some out."""


@dataclass(frozen=True)
class ActiveNeurons:
    """The neurons of a layer that one token uses."""

    gates: int
    """Neurons whose gate is computed."""
    products: int
    """Neurons whose up and down products are computed."""


class NeuronChoice(Protocol):
    """Chooses the neurons of one prompt's answers by the activations of its prefill."""

    def see(self, layer: int, activations: Tensor) -> None:
        """Take the activations [N, F] of some prompt tokens: gate times up."""
        ...

    def kept(self) -> Sequence[Tensor]:
        """The indices of each layer's neurons, ascending, equally many in all layers."""
        ...


@dataclass(frozen=True)
class CorrectionRule:
    """How often the full model checks tokens of the sparse one, and which it takes."""

    kernel: int
    """Tokens of a check: the newest one, and those that the sparse model decoded behind it."""
    threshold: float
    """Least probability of a token that the full model takes."""
    temperature: float
    """Of that probability."""


def experts_refused() -> UnsupportedModelError:
    """The error of a method that computes part of the neurons of a model with experts."""
    return UnsupportedModelError(
        "the method computes part of the MLP's neurons, and this model has experts, of which each "
        "token uses a few already",
        "use a dense model, or a recipe without the method",
    )
