"""The work of an eviction's scores, as budgets and costs count it before any model runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from forethought.contracts.records import LayerShape, ModelShape


@dataclass(frozen=True)
class LayerSizes:
    """The sizes of the view of one layer that a method scores."""

    shape: LayerShape
    hidden: int
    entries: int
    """Entries of a head, those of a look-ahead included."""
    ahead: int = 0
    """Entries of a look-ahead among them."""
    added: int | None = None
    """Entries since the last call; None in prefill, where all are new."""
    queries: int | None = None
    """Queries that the view holds; None for one of every entry."""

    @property
    def new(self) -> int:
        """Entries since the last call."""
        return self.entries if self.added is None else self.added

    @property
    def held_queries(self) -> int:
        """Queries that the view holds."""
        return self.entries if self.queries is None else self.queries


def _quarter(text: str) -> int:
    """About the tokens of a turn that asks a text, whose tokenizer is unknown."""
    return len(text) // 4 + 8


@dataclass(frozen=True)
class PromptSizes:
    """The sizes of a prompt that an eviction scores after or during its prefill."""

    shape: ModelShape
    length: int
    kept: float
    """Entries of a layer that stay."""
    ahead: int = 0
    """Tokens of the look-ahead that the target prefills."""
    text: tuple[int, int] | None = None
    """The first token of the document and the one after its last; None for the whole prompt."""
    asked: Callable[[str], int] = field(default=_quarter)
    """Counts the tokens of a turn that asks a text."""

    @property
    def document(self) -> tuple[int, int]:
        """The first token of the document, and the one after its last."""
        return self.text or (0, self.length)

    def layers(self) -> list[LayerSizes]:
        """The view of each layer."""
        entries = self.length + self.ahead
        return [
            LayerSizes(layer, self.shape.hidden, entries, self.ahead) for layer in self.shape.layers
        ]


@dataclass(frozen=True)
class ScorePass:
    """A pass of the target that only scores entries."""

    tokens: int
    past: float
    """Entries of a layer before it."""
    decodes: bool = False
    """Whether it is a decode step."""


@dataclass(frozen=True)
class ScoreWork:
    """The passes of the target, and the FLOPs of attention rows and other products."""

    flops: float = 0.0
    passes: tuple[ScorePass, ...] = ()


def dense_flops(sizes: LayerSizes) -> float:
    """FLOPs of dense causal attention over new entries in a layer without a window."""
    pairs = sizes.entries * (sizes.entries + 1) / 2
    return 4.0 * sizes.shape.heads * sizes.shape.head_dim * pairs
