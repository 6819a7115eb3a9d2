"""Protocols of drafts and approximations; that of the network is in `network.py`.

Methods implement `Approximation`. `prefill/` and `backends/local` pass their hooks to the engine as
taps, which receive a `LayerView` of each layer. Nothing here imports torch at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from forethought.contracts.drafts import DraftSource, TokenDrafter
from forethought.contracts.network import Attend, Network, ShowInputs, ShowStates
from forethought.contracts.neurons import ActiveNeurons, CorrectionRule, NeuronChoice
from forethought.contracts.score_work import LayerSizes, PromptSizes, ScoreWork, dense_flops
from forethought.contracts.views import Entries, FullCacheView, LayerView, SparseOutput, Tap

if TYPE_CHECKING:
    from torch import Tensor

    from forethought.contracts.records import Prompt

__all__ = [
    "Approximation",
    "Attend",
    "Draft",
    "Drafter",
    "Entries",
    "Found",
    "FullCacheView",
    "LayerView",
    "Network",
    "ShowInputs",
    "ShowStates",
    "SparseOutput",
    "StateProbe",
    "Tap",
    "TokenConstraint",
]

Found = TypeVar("Found")


class StateProbe(Protocol):
    """A small head on the final hidden states of one network."""

    @property
    def key(self) -> str:
        """Hash of the head, its place and its network."""
        ...

    @property
    def name(self) -> str:
        """Its file, for messages."""
        ...

    @property
    def at_prompt(self) -> bool:
        """Whether it reads the end of the prompt, and not the newest token of a candidate."""
        ...

    @property
    def network(self) -> str:
        """The fingerprint of the network that it was fitted to."""
        ...

    @property
    def flops(self) -> float:
        """FLOPs of the outputs for one state."""
        ...

    def outputs(self, state: Sequence[float]) -> tuple[float, ...]:
        """The outputs for one state [hidden]."""
        ...


class TokenConstraint(Protocol):
    """Restricts the tokens of one sequence, step by step, as a grammar does."""

    @property
    def complete(self) -> bool:
        """Whether nothing but an end token may follow."""
        ...

    def allowed(self, vocabulary: int) -> Tensor:
        """The tokens that may come next, as booleans [vocabulary] on the CPU."""
        ...

    def accept(self, token: int) -> None:
        """Follow a token; raises UsageError if it is not allowed."""
        ...


class Draft(Protocol):
    """A draft model that scores the target's prompt; its tokenizer may differ."""

    @property
    def name(self) -> str:
        """The draft's name."""
        ...

    @property
    def layers(self) -> int:
        """Number of layers."""
        ...

    @property
    def layer_span(self) -> tuple[int, int]:
        """The default range of layers whose attention methods use: first, and one past the last."""
        ...

    def read(
        self,
        prompt: Prompt,
        tap: Tap,
        *,
        layers: int | None = None,
        lookahead: int = 0,
        queries: int | None = None,
    ) -> list[int]:
        """Prefill the prompt with the draft and show every layer to `tap`.

        Without `lookahead`, the pass stops after `layers` layers. With it, the draft runs all
        layers and decodes up to `lookahead` tokens greedily; an end token counts and stops.
        `tap` sees the layers of each decode step too. It uses the queries of the `queries` newest
        prompt tokens at most, None for all: the entries of others may be cached. Returns the
        decoded tokens as tokens of the target.
        """
        ...

    def carry(self, importance: Tensor, prompt: Prompt) -> Tensor:
        """Map scores of the draft's prompt tokens to scores of the target's tokens."""
        ...

    def recall(self, what: Hashable, prompt: Prompt, find: Callable[[], Found]) -> Found:
        """The result of `find`, computed once and shared by all methods of one prompt.

        `what` is the key of the result, beside prompt and draft. Every caller is charged as if
        it had computed the result.
        """
        return find()

    def charge(self, tokens: int, flops: float) -> None:
        """Charge the tokens and FLOPs of another model that helps to choose."""
        ...


class Approximation(Protocol):
    """A method that makes prefill or decode cheaper. The default of each hook changes nothing."""

    def pays(self, prompt_length: int) -> bool:
        """Whether the method drops anything from a prompt of this many tokens."""
        ...

    def idle(self, prompt_length: int) -> str:
        """Why the method changes nothing where it does not pay."""
        return f"nothing to drop from a prompt of {prompt_length:,} tokens"

    def reads(self, prompt_length: int) -> int:
        """The number of prompt tokens that the target prefills."""
        return prompt_length

    def check_room(self, prompt: Prompt) -> None:
        """Raise BudgetTooSmallError if the budget is smaller than what must stay of the prompt."""
        return

    def uses_draft(self) -> bool:
        """Whether the method runs a draft; only then may its prompt carry a look-ahead."""
        return False

    def drafts_with_itself(self) -> bool:
        """Whether the draft is always the target's own first layers."""
        return False

    def draft_layers(self, draft: Draft) -> int:
        """The number of draft layers that prefill the prompt."""
        return draft.layers

    def scored_layers(self, draft: Draft) -> range:
        """The draft layers whose attention rows the method computes, besides the pass itself."""
        return range(0)

    def scored_queries(self) -> int | None:
        """Newest prompt tokens whose rows in the draft the method computes; None for all."""
        return self.newest_queries()

    def lookahead_tokens(self, answer_tokens: int) -> int:
        """Most tokens that the draft or the target decodes to choose; 0 if nothing is decoded.

        Budgets reserve their FLOPs before the prefill.
        """
        return answer_tokens if self.uses_draft() or self.sees_whole_cache() else 0

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """The work of scoring the target's entries, in or after the prefill.

        Budgets reserve it, so where the text decides, it is the most.
        """
        return ScoreWork()

    def rescore_flops(self, layer: LayerSizes) -> float:
        """FLOPs of the scores of one layer at an eviction during decode."""
        return 0.0

    def attention_flops(self, layer: int, sizes: LayerSizes) -> float:
        """Most FLOPs of a sparse prefill's attention and scores in the layer of this index."""
        return dense_flops(sizes)

    def uncounted(self) -> str:
        """The part of the cost that depends on the text or a file; empty if sizes fix all of it."""
        return ""

    def evicts(self) -> bool:
        """Whether the method evicts cache entries, by `on_layer` or by `on_cache`."""
        return False

    def entries_after(self, prompt_length: int, layers: int) -> float:
        """About the KV-cache entries of a layer after the eviction, on average over the layers."""
        return prompt_length

    def entries_left(self, prompt_length: int, layers: int) -> float:
        """About the entries of a layer after an eviction during decode, on average."""
        return self.entries_after(prompt_length, layers)

    def entries_beyond(self, layers: int) -> float:
        """Most KV-cache entries of a layer beyond `keep`, on average over a model's layers.

        Budgets in bytes leave room for them; infinity if nothing bounds them.
        """
        return 0.0

    def needs_all_queries(self) -> bool:
        """Whether `on_layer` needs more queries than the newest few hundred."""
        return False

    def reads_inputs(self) -> bool:
        """Whether `on_layer` reads the inputs of attention during decode."""
        return False

    def newest_queries(self) -> int | None:
        """Newest prompt tokens whose queries choose what to keep; None for all.

        They are the draft's if the method shortens the prompt, else the target's. The entries of
        earlier tokens may come from a prefix cache.
        """
        return None

    def sees_whole_cache(self) -> bool:
        """Whether `on_cache` evicts after the whole prefill, instead of `on_layer`."""
        return False

    def evicts_every(self) -> int:
        """Decoded tokens between further calls of `on_layer`; 0 for none."""
        return 0

    def cache_bits(self) -> int:
        """Bits of a stored key or value after prefill; 16 stores them unquantised."""
        return 16

    def thins_attention(self) -> bool:
        """Whether `on_attention` makes prefill attention sparse."""
        return False

    def active_neurons(self, of: int) -> ActiveNeurons | None:
        """The neurons that a token of the answer uses in an MLP of `of` neurons; None for all."""
        return None

    def neuron_choice(self, of: int) -> NeuronChoice | None:
        """What chooses the neurons of a prompt's answers; None if each token has its own."""
        return None

    def correction(self) -> CorrectionRule | None:
        """The rule by which the full model checks tokens of the sparse one; None without checks."""
        return None

    def drafts_answers(self) -> bool:
        """Whether the method drafts tokens of the answer, which the target verifies."""
        return False

    def drafter(self, source: DraftSource) -> TokenDrafter | None:
        """The drafter of one sequence; None if the method cannot draft for it."""
        return None

    def writer_layers(self, layers: int) -> int:
        """First layers of the drafting model that read the prompt and write drafts of the answer.

        The model has `layers` of them; 0 if no model writes.
        """
        return layers if self.drafts_answers() and self.uses_draft() else 0

    def draft_lacks(
        self, draft: str, applied: Sequence[Approximation], *, layers: int, predicted: bool
    ) -> str:
        """What is missing to draft beside the applied methods; empty if nothing is.

        `draft` is the drafting model's name, "self" for the target, and `layers` are its layers.
        `predicted` says whether the client predicts the answer.
        """
        if self.uses_draft() and draft == "self":
            return "a smaller model would draft, named with -d"
        return ""

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt for the target, shortened or not; it may carry a look-ahead."""
        return prompt

    def thins_draft(self) -> bool:
        """Whether `on_attention` makes the prefill of the other methods' draft sparse."""
        return False

    def attends_in_chunks(self) -> bool:
        """Whether `on_attention` may see the prompt in chunks of tokens, one after the other."""
        return False

    def on_attention(self, view: LayerView) -> SparseOutput | None:
        """The attention of a layer's new tokens over the keys they may see; None for dense."""
        return None

    def on_layer(self, view: LayerView) -> Entries | None:
        """The entries of one layer to keep, or None for all."""
        return None

    def on_cache(self, cache: FullCacheView) -> Sequence[Entries] | None:
        """The entries of each layer to keep, or None for all."""
        return None


class Drafter(Approximation, Protocol):
    """Drafts tokens of the answer. The target verifies them, so no draft changes an answer."""

    def pays(self, prompt_length: int) -> bool:
        """True: a draft needs no long prompt."""
        return True

    def drafts_answers(self) -> bool:
        """True."""
        return True
