"""What each family of methods promises, and what it is handed to work with.

The engine calls `LayerView` taps, methods implement `Approximation`, and `runs/`
introduces the two to each other. Nothing here imports torch at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from forethought.contracts.errors import UnsupportedModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from forethought.contracts.records import LayerShape, ModelShape, Prompt

Attend = Callable[[int, "Tensor", "Tensor", "Tensor"], "Tensor"]
"""(layer, q [N, H, D], k [N, K, D], v [N, K, D]), rotated, to [N, H * D]."""


class Network(Protocol):
    """A decoder: next-token logits for packed tokens; attention is the caller's."""

    shape: ModelShape
    device: torch.device
    dtype: torch.dtype

    def for_long_texts(self) -> Network:
        """The network for texts beyond its context, if it reads those otherwise; else itself."""
        return self

    def turned(self, layer: int, vectors: Tensor, positions: Tensor) -> Tensor:
        """Vectors [N, any, D] of a layer's queries or keys, turned on by `positions` [N].

        Positions may be negative or fractions; magnitudes stay.
        """
        raise UnsupportedModelError(
            "a method needs to turn queries to other positions, and this model does not show how",
            "use another method, or a model of a family that runs without transformers",
        )

    def weight_bytes(self, phase: str, layers: int | None = None, tokens: int = 1) -> int:
        """Bytes of weights that one pass of this phase reads for so many tokens."""
        ...

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        attend: Attend,
        *,
        phase: str,
        logits_at: Tensor | None = None,
        layers: int | None = None,
    ) -> Tensor:
        """Logits [R, V] (float32) of the rows `logits_at` [R] of packed tokens [N].

        `positions` [N] are logical positions. `phase` is "prefill" or "decode" and only
        chooses the weight format. With `layers`, stops after that many layers and returns
        an empty tensor. `logits_at` None means every row.
        """
        ...


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

    def turned(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Vectors [N, any, D] turned on by `positions` [N], as this layer turns its queries."""
        ...


Found = TypeVar("Found")

Tap = Callable[[LayerView], "Entries | None"]
"""Looks at a layer; may return the entries to keep."""


class WholeCache(Protocol):
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
    single columns; see `engine/sparse_attention.py`.
    """

    columns: Tensor
    """[K or H, C] key indices, ascending: seen by every later query."""
    slashes: Tensor
    """[K or H, S] distances from a query back to its key, descending."""


class Draft(Protocol):
    """A model that reads ahead for the target, whatever its tokenizer."""

    @property
    def name(self) -> str:
        """What the draft is called."""
        ...

    @property
    def layers(self) -> int:
        """How many it has."""
        ...

    @property
    def layer_span(self) -> tuple[int, int]:
        """First layer worth looking at, and the layer to stop before, unless a method is told."""
        ...

    def read(
        self, prompt: Prompt, tap: Tap, *, layers: int | None = None, lookahead: int = 0
    ) -> list[int]:
        """Run the draft over the prompt, showing every layer to `tap`.

        Stops after `layers` layers when nothing has to be written; else runs all layers,
        writes up to `lookahead` tokens greedily (an end-of-answer token counts and stops),
        shows each step's layers too, and returns what it wrote as tokens of the target.
        """
        ...

    def carry(self, importance: Tensor, prompt: Prompt) -> Tensor:
        """Scores over the draft's own prompt tokens as scores over the target's tokens."""
        ...

    def recall(self, what: Hashable, prompt: Prompt, find: Callable[[], Found]) -> Found:
        """What `find` gives, found once for all methods that ask the same of one prompt.

        `what` names it by all that decides it besides prompt and draft. Whoever recalls is
        charged as if it had been found anew.
        """
        return find()

    def charge(self, tokens: int, flops: float) -> None:
        """Charge what another model did to choose: tokens it read, and FLOPs."""
        ...


class Approximation(Protocol):
    """A method that makes one pass cheaper. Each hook's default changes nothing."""

    def pays(self, prompt_length: int) -> bool:
        """Whether anything would be dropped from a prompt of this many tokens."""
        ...

    def reads(self, prompt_length: int) -> int:
        """How many of the prompt's tokens the target will read."""
        return prompt_length

    def uses_draft(self) -> bool:
        """Whether a draft is run."""
        return False

    def drafts_with_itself(self) -> bool:
        """Whether the target's own first layers are the draft, whichever draft was named."""
        return False

    def draft_layers(self, draft: Draft) -> int:
        """How many layers of the draft read the prompt, where one is run."""
        return draft.layers

    def evicts(self) -> bool:
        """Whether cache entries are dropped: by `on_layer`, or by `on_cache`."""
        return False

    def needs_all_queries(self) -> bool:
        """Whether `on_layer` looks at more queries than the newest few hundred."""
        return False

    def sees_whole_cache(self) -> bool:
        """Whether `on_cache` chooses, once the prompt was read whole, instead of `on_layer`."""
        return False

    def evicts_every(self) -> int:
        """Tokens written until `on_layer` is asked again what to keep; 0 for never."""
        return 0

    def cache_bits(self) -> int:
        """Bits of a stored key or value once the prompt was read; 16 leaves them as they are."""
        return 16

    def thins_attention(self) -> bool:
        """Whether `on_attention` chooses what the prompt's queries see."""
        return False

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt the target should read; may use the draft, may add a look-ahead."""
        return prompt

    def on_attention(self, view: LayerView) -> Pattern | None:
        """What a layer's queries may see, just before its attention; None for all."""
        return None

    def on_layer(self, view: LayerView) -> Entries | None:
        """The entries of a prompt's layer to keep, or None for all."""
        return None

    def on_cache(self, cache: WholeCache) -> Sequence[Entries] | None:
        """The entries of every layer to keep, or None for all."""
        return None
