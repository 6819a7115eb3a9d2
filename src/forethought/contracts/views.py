"""Views of the KV cache for methods: one layer during prefill, or the whole prompt after it.

Nothing here imports torch at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from forethought.contracts.records import LayerShape, Prompt

Entries: TypeAlias = "Sequence[Tensor] | Tensor"
"""Entries of a layer to keep: [M] ascending indices for each of K KV heads; M may differ."""


class LayerView(Protocol):
    """One layer of one sequence, after its attention and before eviction."""

    @property
    def layer(self) -> int:
        """The index of the layer, from 0."""
        ...

    @property
    def layers(self) -> int:
        """Number of layers of the model."""
        ...

    @property
    def shape(self) -> LayerShape:
        """Heads and scale of the layer."""
        ...

    @property
    def queries(self) -> Tensor:
        """[N, H, D], after RoPE: the queries of the newest tokens in the query window.

        During a prefill in one pass these are all tokens of prompt and look-ahead.
        """
        ...

    @property
    def keys(self) -> Tensor:
        """[K, E, D], after RoPE: every entry of the sequence, newest last.

        If heads hold different numbers of entries, padding follows the entries of a head;
        see `held`.
        """
        ...

    @property
    def values(self) -> Tensor:
        """[K, E, V], in the order of `keys`."""
        ...

    @property
    def inputs(self) -> Tensor:
        """[N, hidden]: the inputs of the layer's attention, after its norm, for all `queries`.

        During prefill, and during decode for methods that `reads_inputs`. Raises
        UnsupportedModelError if the model does not expose them.
        """
        ...

    @property
    def held(self) -> Tensor | None:
        """[K] entries of each head; None if all heads hold E."""
        ...

    @property
    def positions(self) -> Tensor:
        """[E], or [K, E] if heads differ: the position id of every entry."""
        ...

    @property
    def decoding(self) -> bool:
        """Whether the answer is being decoded, so that entries may have been evicted before."""
        ...

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt; during prefill, later entries belong to the look-ahead."""
        ...

    @property
    def protected(self) -> frozenset[int]:
        """Positions that eviction must keep: chat template and question."""
        ...

    @property
    def memory(self) -> Tensor | None:
        """[K, E'] the last scores given to `remember`, for the E' of those entries that remain."""
        ...

    def remember(self, scores: Tensor) -> None:
        """Store scores [K, E] beside the entries until the next view of this layer."""
        ...

    def projected_norms(self, order: int, entries: Tensor | None = None) -> Tensor:
        """[K, G, E] float32: norms of the values of `entries` after each head's output projection.

        `order` 1 or 2 names the norm; None for all entries.
        """
        ...

    def charge(self, flops: float) -> None:
        """Charge FLOPs of products that a method computes itself."""
        ...

    def window_rows(self, count: int) -> Iterator[Tensor]:
        """Attention probabilities of the last `count` queries over all entries.

        Yields chunks of queries, oldest first, as float32 [K, G, rows, E]; G = H / K query
        heads share a KV head. Causal inside the window.
        """
        ...

    def window_reduced(self, weights: Sequence[float], reduction: Literal["max", "sum"]) -> Tensor:
        """The attention rows of the newest queries, weighted and reduced over these queries.

        One weight a query, oldest first: float32 [K, G, E].
        """
        ...

    def rotate(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Rotate vectors [N, any, D] by `positions` [N] with this layer's RoPE."""
        ...

    def unrotated(self) -> LayerView:
        """The view with queries and keys as they were before RoPE; before any eviction."""
        ...


Tap = Callable[[LayerView], "Entries | None"]
"""Inspects a layer; may return the entries to keep."""


class FullCacheView(Protocol):
    """The full cache of a prefilled prompt; passes made here leave no entries behind."""

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        ...

    @property
    def layers(self) -> Sequence[LayerView]:
        """Every layer; the query window holds the prompt's last tokens."""
        ...

    def encode(self, text: str) -> list[int]:
        """The tokens of plain text."""
        ...

    def asked(self, text: str) -> list[int]:
        """The tokens of a turn that asks `text` after a document, up to the start of the answer."""
        ...

    def write(self, kept: Sequence[Entries], count: int) -> Sequence[LayerView]:
        """Decode up to `count` tokens greedily after a copy cut to `kept`, one choice per layer.

        An end token counts and stops. The views hold the queries of the prompt's last tokens and
        of every decoded token, over the entries of the whole prompt; the queries of decoded
        tokens see all of these entries.
        """
        ...

    def read(self, tokens: Sequence[int], tap: Tap, *, after: int | None = None) -> None:
        """Prefill tokens after the first `after` prompt tokens (None for all); show each layer.

        The views hold the queries of these tokens; their entries come last.
        """
        ...


@dataclass(frozen=True)
class SparseOutput:
    """The attention of one layer as a method computed it, over the keys that it chose."""

    out: Tensor
    """[N, H * V], for the view's queries."""
    pairs: float
    """Query-key pairs that it computed, averaged over query heads; the meter charges them.

    A product of a query with a key alone, without a value, is half a pair.
    """
