"""The networks of a prompt: for its prefill, for its answers, and for tokens to be checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forethought.contracts.neurons import CorrectionRule, NeuronChoice
from forethought.contracts.roles import Approximation, Network

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class AnswerNetworks:
    """The target of one prompt, and the same with part of its MLP's neurons."""

    full: Network
    method: Approximation | None = None
    """The method that computes part of the neurons, if any."""
    _choice: NeuronChoice | None = None
    _made: Network | None = None

    def prefilling(self, tokens: int) -> Network:
        """The network that prefills a prompt of so many tokens."""
        method = self.method
        self._choice = None if method is None else method.neuron_choice(self.full.neurons)
        if self._choice is None:
            return self.full
        return self.full.showing(_FirstTokens(self._choice, tokens))

    @property
    def sparse(self) -> Network:
        """The network with part of the neurons; the full one without a method.

        A choice by the prompt is known once that is prefilled.
        """
        if self._made is None:
            self.gather()
        return self._made or self.full

    def gather(self) -> None:
        """Make the network with part of the neurons; matrices for one prompt take time."""
        method = self.method
        active = None if method is None else method.active_neurons(self.full.neurons)
        if active is None:
            self._made = self.full
        elif self._choice is not None:
            self._made = self.full.with_neurons(self._choice.kept())
        else:
            self._made = self.full.with_top_neurons(active.products)

    @property
    def held_bytes(self) -> int:
        """Bytes of the matrices that were gathered for this prompt."""
        if self._choice is None or self.method is None:
            return 0
        active = self.method.active_neurons(self.full.neurons)
        shape, size = self.full.shape, self.full.dtype.itemsize
        kept = 0 if active is None else active.products
        return 3 * shape.hidden * kept * len(shape.layers) * size

    @property
    def correction(self) -> CorrectionRule | None:
        """The rule by which the full network checks tokens of the sparse one, if it does."""
        return None if self.method is None else self.method.correction()

    @property
    def decoding(self) -> Network:
        """The network of decode passes; its entries are those of answers."""
        return self.full if self.correction is not None else self.sparse


@dataclass(frozen=True)
class _FirstTokens(NeuronChoice):
    """Shows the first tokens of a prefill alone: guessed tokens and repeated ones come later."""

    choice: NeuronChoice
    tokens: int
    _seen: Counter[int] = field(default_factory=Counter)

    def see(self, layer: int, activations: Tensor) -> None:
        """Take the activations of the next tokens of a layer."""
        left = self.tokens - self._seen[layer]
        self._seen[layer] += len(activations)
        if left > 0:
            self.choice.see(layer, activations[:left])

    def kept(self) -> Sequence[Tensor]:
        """The neurons of the choice."""
        return self.choice.kept()
