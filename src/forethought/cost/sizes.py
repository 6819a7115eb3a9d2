"""The sizes of a decoder that costs depend on, and its matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from forethought.contracts.records import ModelShape


class Sizes(Protocol):
    """The sizes of a decoder; `DecoderConfig` has them."""

    @property
    def vocabulary(self) -> int:
        """Tokens of the vocabulary."""
        ...

    @property
    def hidden(self) -> int:
        """Width of the residual stream."""
        ...

    @property
    def intermediate(self) -> int:
        """Width of the MLP in dense layers."""
        ...

    @property
    def used_neurons(self) -> int:
        """Neurons of a dense MLP whose up and down products a token uses; 0 for all."""
        ...

    @property
    def layers(self) -> int:
        """Number of layers."""
        ...

    @property
    def heads(self) -> int:
        """Query heads."""
        ...

    @property
    def kv_heads(self) -> int:
        """Key and value heads."""
        ...

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        ...

    @property
    def context(self) -> int:
        """Most positions."""
        ...

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Per layer: sliding window; None for full attention."""
        ...

    @property
    def tied(self) -> bool:
        """Whether the output head is the embedding."""
        ...

    @property
    def experts(self) -> int:
        """Experts of a sparse layer; 0 without any."""
        ...

    @property
    def experts_per_token(self) -> int:
        """Experts that a token uses."""
        ...

    @property
    def expert_intermediate(self) -> int:
        """Width of an expert."""
        ...

    @property
    def expert_layers(self) -> tuple[int, ...]:
        """Layers with experts."""
        ...

    @property
    def shape(self) -> ModelShape:
        """The sizes that the engine's meter counts with."""
        ...


@dataclass(frozen=True)
class WeightMatrix:
    """A weight of a layer, and how much of it a pass uses."""

    name: str
    inputs: int
    outputs: int
    experts: int = 1
    """Copies of it in the layer."""
    chosen: int = 1
    """Copies that one token multiplies."""

    @property
    def parameters(self) -> int:
        """Parameters of all copies."""
        return self.inputs * self.outputs * self.experts

    def read(self, tokens: int) -> float:
        """Parameters that a pass over so many tokens reads.

        Of experts, the mean number of distinct ones if each token draws its own uniformly.
        """
        unread = (1 - self.chosen / self.experts) ** tokens if self.experts > 1 else 0.0
        return self.parameters * (1 - unread)


@dataclass(frozen=True)
class LayerGroup:
    """Layers with the same matrices and the same window."""

    count: int
    window: int | None
    matrices: tuple[WeightMatrix, ...]


def layer_groups(sizes: Sizes) -> list[LayerGroup]:
    """The layers of a decoder, in groups of equal ones."""
    sparse = frozenset(sizes.expert_layers)
    counts: dict[tuple[int | None, bool], int] = {}
    for layer, window in enumerate(sizes.windows):
        kind = (window, layer in sparse)
        counts[kind] = counts.get(kind, 0) + 1
    return [
        LayerGroup(count, window, tuple(_matrices(sizes, has_experts)))
        for (window, has_experts), count in counts.items()
    ]


def _matrices(sizes: Sizes, has_experts: bool) -> Iterator[WeightMatrix]:
    wide, narrow = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    hidden = sizes.hidden
    yield WeightMatrix("q", hidden, wide)
    yield WeightMatrix("k", hidden, narrow)
    yield WeightMatrix("v", hidden, narrow)
    yield WeightMatrix("o", wide, hidden)
    width, copies = sizes.intermediate, (1, 1)
    used = sizes.used_neurons or width
    if has_experts:
        width, copies = sizes.expert_intermediate, (sizes.experts, sizes.experts_per_token)
        used = width
        yield WeightMatrix("router", hidden, sizes.experts)
    yield WeightMatrix("gate", hidden, width, *copies)
    yield WeightMatrix("up", hidden, used, *copies)
    yield WeightMatrix("down", used, hidden, *copies)


def head_of(sizes: Sizes) -> WeightMatrix:
    """The output head."""
    return WeightMatrix("head", sizes.hidden, sizes.vocabulary)


def parameters(sizes: Sizes) -> int:
    """All parameters in matrices: layers, embedding and head, which may be the embedding."""
    layers = sum(
        group.count * sum(matrix.parameters for matrix in group.matrices)
        for group in layer_groups(sizes)
    )
    return layers + head_of(sizes).parameters * (1 if sizes.tied else 2)
