"""What each family of methods promises, and what it is handed to work with.

The engine calls `LayerView` taps, methods implement `Approximation`, and `runs/`
introduces the two to each other. Nothing here imports torch at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

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


class LayerView(Protocol):
    """One layer of one row, right after its attention, before anything is dropped."""

    @property
    def layer(self) -> int:
        """Its number, from 0."""
        ...

    @property
    def shape(self) -> LayerShape:
        """Its heads and scale."""
        ...

    @property
    def queries(self) -> Tensor:
        """[N, H, D], rotated: the tokens of this step."""
        ...

    @property
    def keys(self) -> Tensor:
        """[K, E, D], rotated: every entry of the row, this step's tokens last."""
        ...

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt; entries after it belong to the look-ahead."""
        ...

    @property
    def protected(self) -> frozenset[int]:
        """Prompt tokens that must stay."""
        ...

    def window_rows(self, count: int) -> Iterator[Tensor]:
        """Attention of the last `count` queries of this step over all entries.

        Yields chunks of queries, oldest first: [K, G, rows, E] float32 probabilities, where
        G = H / K query heads share a key head. Causal inside the window.
        """
        ...


Tap = Callable[[LayerView], "Tensor | None"]
"""Looks at a layer; may return the entries to keep, [K, M] ascending indices."""


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

    def draft_layers(self, draft: Draft) -> int:
        """How many layers of the draft read the prompt, where one is run."""
        return draft.layers

    def evicts(self) -> bool:
        """Whether `on_layer` drops cache entries, so the prompt must be read in one pass."""
        return False

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt the target should read; may use the draft, may add a look-ahead."""
        return prompt

    def on_layer(self, view: LayerView) -> Tensor | None:
        """The entries [K, M] of a prompt's layer to keep, or None for all."""
        return None
