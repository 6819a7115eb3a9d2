"""What each family of methods promises, and what it is handed to work with.

The engine calls `LayerView` taps, methods implement `Approximation`, and `runs/`
introduces the two to each other. Nothing here imports torch at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.views import Entries, FullCacheView, LayerView, Pattern, Tap

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from forethought.contracts.records import ModelShape, Prompt

__all__ = [
    "Approximation",
    "Attend",
    "Draft",
    "Entries",
    "Found",
    "FullCacheView",
    "LayerView",
    "Network",
    "Pattern",
    "Tap",
]

Found = TypeVar("Found")
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

    def rotate(self, layer: int, vectors: Tensor, positions: Tensor) -> Tensor:
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
        """Whether a draft is run; only such a method is shown a guess behind the prompt."""
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

    def on_cache(self, cache: FullCacheView) -> Sequence[Entries] | None:
        """The entries of every layer to keep, or None for all."""
        return None
