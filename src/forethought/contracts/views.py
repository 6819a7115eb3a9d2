"""What methods see of a cache: a layer as it is read, or all of a prompt once it was.

Nothing here imports torch at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from forethought.contracts.records import LayerShape, Prompt

Entries: TypeAlias = "Sequence[Tensor] | Tensor"
"""Entries of a layer to keep: for each of K key heads [M] ascending indices; M may differ."""


class LayerView(Protocol):
    """One layer of one row, right after its attention, before anything is dropped."""

    @property
    def layer(self) -> int:
        """Its number, from 0."""
        ...

    @property
    def layers(self) -> int:
        """How many layers the model has."""
        ...

    @property
    def shape(self) -> LayerShape:
        """Its heads and scale."""
        ...

    @property
    def queries(self) -> Tensor:
        """[N, H, D], rotated: the newest tokens of the row, as many as were kept in sight.

        While a prompt is read in one pass these are all its tokens, the look-ahead's too.
        """
        ...

    @property
    def keys(self) -> Tensor:
        """[K, E, D], rotated: every entry of the row, the newest last.

        Where heads hold different numbers of entries, those of a head come first and what
        follows them is filling; see `held`.
        """
        ...

    @property
    def values(self) -> Tensor:
        """[K, E, V]: as `keys`."""
        ...

    @property
    def held(self) -> Tensor | None:
        """[K] how many entries each head holds; None where all hold E."""
        ...

    @property
    def positions(self) -> Tensor:
        """[E], or [K, E] where heads differ: the logical position of every entry."""
        ...

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt; while it is read, entries after it belong to the look-ahead."""
        ...

    @property
    def protected(self) -> frozenset[int]:
        """Positions that must stay: of the template and the question."""
        ...

    @property
    def memory(self) -> Tensor | None:
        """[K, E'] what `remember` was last given, of the E' entries then held that still are."""
        ...

    def remember(self, scores: Tensor) -> None:
        """Keep scores [K, E] beside the entries until this layer is next shown."""
        ...

    def window_rows(self, count: int) -> Iterator[Tensor]:
        """Attention of the last `count` queries over all entries.

        Yields chunks of queries, oldest first: [K, G, rows, E] float32 probabilities, where
        G = H / K query heads share a key head. Causal inside the window.
        """
        ...

    def rotate(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Vectors [N, any, D] turned on by `positions` [N], as this layer turns its queries."""
        ...


Tap = Callable[[LayerView], "Entries | None"]
"""Looks at a layer; may return the entries to keep."""


class FullCacheView(Protocol):
    """A prompt that was read whole; what is read or written here is forgotten again."""

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        ...

    @property
    def layers(self) -> Sequence[LayerView]:
        """Every layer; the queries in sight are those of the prompt's last tokens."""
        ...

    def encode(self, text: str) -> list[int]:
        """The tokens of plain text."""
        ...

    def asked(self, text: str) -> list[int]:
        """The tokens that ask `text` behind a document, up to where an answer begins."""
        ...

    def write(self, kept: Sequence[Entries], count: int) -> Sequence[LayerView]:
        """Write up to `count` tokens greedily behind a copy cut to `kept`, one choice a layer.

        An end-of-answer token counts and stops. The views hold the queries of the prompt's last
        tokens, then those of every token that was written, over the whole prompt's entries
        alone; the queries of written tokens see all of them.
        """
        ...

    def read(self, tokens: Sequence[int], tap: Tap, *, after: int | None = None) -> None:
        """Read tokens behind the first `after` prompt tokens (all when None), showing each layer.

        The views hold the queries of these tokens; their entries come last.
        """
        ...


@dataclass(frozen=True)
class Pattern:
    """Which keys a prompt's queries may see, beyond 'none newer than itself'.

    A query block of 64 rows sees, as in MInference, a band of 64 keys for every slash and
    single columns; see `engine/attention/sparse.py`.
    """

    columns: Tensor
    """[K or H, C] key indices, ascending: seen by every later query."""
    slashes: Tensor
    """[K or H, S] distances from a query back to its key, descending."""
