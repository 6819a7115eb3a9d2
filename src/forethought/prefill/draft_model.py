"""The draft: another model, or the target's own first layers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Entries, Found, LayerView, Network, Tap
from forethought.cost.flops import entry_bytes
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import LayerHook
from forethought.engine.scheduler import decode
from forethought.engine.sequence import Sequence as TokenSequence
from forethought.engine.sequence import SequenceStart
from forethought.models.chat.prompt import chat_prompt
from forethought.models.hardware.sliced_task import aside
from forethought.models.model import Model
from forethought.prefill.draft_reading import DraftReading, ReadingPart
from forethought.prefill.planning import default_layer_span
from forethought.prefill.prefill_reuse import PrefillReuse, PromptPrefix

DraftResults = dict[Hashable, tuple[tuple[Any, list[int]], Meter]]
"""By key, a result with the look-ahead that was written for it, and their cost."""


@dataclass(frozen=True)
class DraftInput:
    """A prompt in the draft's tokens, and how far the draft runs over it."""

    prompt: Prompt
    network: Network
    layers: int
    lookahead: int
    """Tokens to decode after it."""

    @property
    def token_bytes(self) -> int:
        """Cache bytes of a token in these layers."""
        shape = self.network.shape
        used = replace(shape, layers=shape.layers[: self.layers])
        return int(entry_bytes(used, self.network.dtype.itemsize))


@dataclass(frozen=True)
class ModelDraft:
    """A draft whose results are in the target's tokens (see contracts.roles.Draft)."""

    model: Model
    target: Model
    meter: Meter
    results: DraftResults = field(default_factory=dict)
    """Earlier results by their key, with their cost; shared by runs on the same prompts."""
    reuse: PrefillReuse | None = None
    """Entries and results of earlier requests."""
    may_shorten: bool = True
    """Whether methods may shorten the prompt; False for later turns of a conversation."""
    remote_target: bool = False
    """Whether the target runs on a server at a cost that is unknown here."""

    sparse: Approximation | None = None
    """The method that makes the draft's prefill sparse, if any."""
    latest: dict[str, Prompt] = field(default_factory=dict, compare=False)
    """The latest text in the draft's tokens: reading it and carrying its scores both need it."""
    written: list[int] = field(default_factory=list, compare=False)
    """The latest look-ahead behind the prompt, in the target's tokens."""
    readings: dict[Hashable, DraftReading] = field(default_factory=dict, compare=False)
    """Passes that the recipes of a batch share."""

    def serving(self, method: Approximation) -> ModelDraft:
        """The draft that a method uses: this one, or the target itself."""
        return replace(self, model=self.target) if method.drafts_with_itself() else self

    @property
    def name(self) -> str:
        """The draft's name."""
        return "self" if self.is_self else self.model.name

    @property
    def is_self(self) -> bool:
        """Whether the target drafts for itself."""
        return self.model is self.target

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the target's files, then on the draft's if it is another model."""
        own = () if self.is_self else self.model.notes
        return (*self.target.notes, *(f"draft {self.name}: {note}" for note in own))

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.model.shape.layers)

    @property
    def layer_span(self) -> tuple[int, int]:
        """The default first layer that methods use, and one past the last."""
        own, target = self.model.shape, self.target.shape
        return default_layer_span(own, target, is_self=self.is_self)

    @cached_property
    def shares_tokens(self) -> bool:
        """Whether draft and target have the same tokenizer."""
        return self.model.tokenizer.fingerprint == self.target.tokenizer.fingerprint

    def own_prompt(self, prompt: Prompt) -> Prompt:
        """The prompt in the draft's own tokens and chat template."""
        if self.shares_tokens:
            return prompt
        start, stop = prompt.content
        model, text = self.model, prompt.text[start:stop]
        made = self.latest.get(text)
        if made is None:
            made = aside(len(prompt), lambda: chat_prompt(model.tokenizer, model.template, text))
            self.latest.clear()
            self.latest[text] = made
        return made

    def read(
        self,
        prompt: Prompt,
        tap: Tap,
        *,
        layers: int | None = None,
        lookahead: int = 0,
        queries: int | None = None,
    ) -> list[int]:
        """Prefill the prompt with the draft; see contracts.roles.Draft.read."""
        given = self.input_of(prompt, layers, lookahead)
        decoded = self._own_tokens(given, tap, queries)
        if not given.lookahead:
            return []
        found = self._target_tokens(decoded)
        target = self.target.for_length(len(prompt) + len(found))
        self.written[:] = found[: max(0, target.shape.context - len(prompt))]
        return list(self.written)

    def input_of(self, prompt: Prompt, layers: int | None, lookahead: int) -> DraftInput:
        """The prompt in the draft's tokens, and the network that reads it.

        Raises PromptTooLongError if the prompt does not fit.
        """
        own = self.own_prompt(prompt)
        model = self.model.for_length(len(own) + lookahead)
        self._check_fits(len(own) + min(lookahead, 1), model)
        lookahead = min(lookahead, model.shape.context - len(own))
        count = self.layers if lookahead or layers is None else min(layers, self.layers)
        # A prefill of the whole target may share entries with exact runs.
        exact = self.is_self and count == self.layers
        network = model.network if exact else model.network.for_scores()
        return DraftInput(own, network, count, lookahead)

    def reading_key(self, given: DraftInput) -> Hashable:
        """The key of a pass that several recipes can share."""
        return id(given.network), self.sparse, given.prompt.tokens

    def reading(self, given: DraftInput, part: ReadingPart) -> DraftReading:
        """A pass to share; it runs when a method first needs it."""

        def run(part: ReadingPart, tap: Tap, meter: Meter) -> list[int]:
            whole = replace(given, layers=part.layers, lookahead=part.lookahead)
            cache = SequenceCache(part.layers, len(given.prompt) + part.lookahead)
            return replace(self, meter=meter)._read(whole, tap, cache)

        return DraftReading(given.network, given.prompt.tokens, part, run)

    def _own_tokens(self, given: DraftInput, tap: Tap, queries: int | None) -> list[int]:
        """Prefill the prompt, and decode the look-ahead as the draft's tokens."""
        part = ReadingPart(given.layers, given.lookahead, queries)
        shared = self.readings.get(self.reading_key(given)) if self.readings else None
        if shared is not None and shared.part.holds(part):
            return shared.show(part, tap, self.meter)
        own, count = given.prompt, given.layers
        if self.reuse is None or self.sparse is not None:  # only exact entries are shared
            return self._read(given, tap, SequenceCache(count, len(own) + given.lookahead))
        prefix = self.reuse.prefix(given.network, own.tokens, newest=queries, layers=count)
        try:
            return self._read(given, tap, prefix.shared_cache(), prefix)
        finally:
            prefix.close()

    def _read(
        self,
        given: DraftInput,
        tap: Tap,
        cache: SequenceCache,
        prefix: PromptPrefix | None = None,
    ) -> list[int]:
        """Prefill what the cache lacks, and decode the look-ahead."""
        length, network = len(given.prompt), given.network
        batch = Batch(network, self.meter)
        start = prefix.tokens if prefix is not None else 0
        stores = prefix is not None and prefix.has_room(given.token_bytes)
        # No later token needs the entries, so they are dropped layer by layer.
        shown = tap if given.lookahead or stores else _dropping(tap)
        stop = None if given.lookahead else given.layers
        tokens = given.prompt.tokens[start:]
        attend = None if self.sparse is None else self.sparse.on_attention
        hook = LayerHook(shown, length, attend=attend)
        logits = batch.prefill_whole(cache, tokens, hook, stop)
        self.meter.count("draft", length - start)
        if prefix is not None and stores:
            prefix.store(cache)
        if not given.lookahead:
            return []
        hook = LayerHook(tap, length)
        return self._decode_guess(network, cache, logits, hook, given.lookahead)

    def _decode_guess(
        self, network: Network, cache: SequenceCache, logits: Tensor, hook: LayerHook, count: int
    ) -> list[int]:
        """Decode greedily and show each step's layers; an end token counts and stops."""
        guess = TokenSequence(
            network,
            self.meter,
            lambda: SequenceStart(cache, logits[-1]),
            max_tokens=count,
            ends=self.model.tokenizer.ends,
            keeps_end=True,
            layer_hook=hook,
        )
        decode(guess)
        self.meter.count("draft", len(guess.tokens))
        return guess.tokens

    def _target_tokens(self, decoded: Sequence[int]) -> list[int]:
        if self.shares_tokens:
            return list(decoded)
        ended = decoded[-1] in self.model.tokenizer.ends
        text = self.model.tokenizer.decode(decoded[:-1] if ended else decoded)
        end = self.target.tokenizer.end
        closing = [end] if ended and end is not None else []
        return [*self.target.tokenizer.encode(text), *closing]

    def carry(self, importance: Tensor, prompt: Prompt) -> Tensor:
        """Map scores of the draft's tokens to the target's tokens by their characters.

        A target token gets the best score of the draft tokens that share a character with it.
        """
        if self.shares_tokens:
            return importance
        own = self.own_prompt(prompt)
        given, read = (whole.text[slice(*whole.content)] for whole in (prompt, own))
        # A template may have stripped white space.
        shift = prompt.content[0] + max(0, given.find(read)) - own.content[0]
        spans, scores = np.array(own.spans), importance.cpu().numpy().astype(np.float32)
        first, last = own.content
        inside = (first <= spans[:, 0]) & (spans[:, 0] < last)
        places, lengths = _characters(spans[inside] + shift)
        room = max(len(prompt.text), int(places.max(initial=0))) + 1
        by_character = np.zeros(room, dtype=np.float32)
        np.maximum.at(by_character, places, scores[inside].repeat(lengths))
        places, lengths = _characters(np.array(prompt.spans))
        starts = lengths.cumsum() - lengths
        return torch.from_numpy(np.maximum.reduceat(by_character[places], starts))

    def recall(self, what: Hashable, prompt: Prompt, find: Callable[[], Found]) -> Found:
        """The result of `find`, computed once; see contracts.roles.Draft.recall."""
        key = (what, self.sparse, self.name, self.target.name, prompt.tokens, prompt.text)
        if key in self.results:
            known, spent = self.results[key]
            self.meter.add(spent)
            return cast(Found, self._again(known))
        if self.reuse is not None:
            return self._remembered(self.reuse, what, prompt, find)
        before, start = self.meter.copy(), self.meter.clock()
        found = self._found(find)
        spent = self.meter.since(before)
        shared = self.meter.stages.get("draft", 0.0) - before.stages.get("draft", 0.0)
        spent.stages["draft"] = self.meter.clock() - start + shared
        self.results[key] = (found, spent)
        return found[0]

    def _found(self, find: Callable[[], Found]) -> tuple[Found, list[int]]:
        """A result, and the look-ahead that was written for it."""
        self.written.clear()
        found = find()
        return found, list(self.written)

    def _again(self, known: tuple[Found, list[int]]) -> Found:
        """A known result, whose look-ahead drafts may use."""
        self.written[:] = known[1]
        return known[0]

    def _remembered(
        self, reuse: PrefillReuse, what: Hashable, prompt: Prompt, find: Callable[[], Found]
    ) -> Found:
        """The result of an earlier request, which costs nothing, or of `find`."""
        networks = self.model.network, self.target.network
        key = reuse.result_key((what, self.sparse), networks, prompt)
        if key not in reuse.memo.drafts:
            reuse.memo.drafts.put(key, self._found(find))
        return cast(Found, self._again(reuse.memo.drafts.get(key)))

    def charge(self, tokens: int, flops: float) -> None:
        """Charge the tokens and FLOPs of another model that helps to choose."""
        self.meter.spend(flops)
        self.meter.count("draft", tokens)

    def _check_fits(self, tokens: int, model: Model) -> None:
        if tokens > model.shape.context:
            other = (
                "the method truncate before this one"
                if self.may_shorten
                else "start a new conversation"
            )
            raise PromptTooLongError(
                f"the draft {model.name} holds {model.shape.context:,} tokens, but would "
                f"prefill {tokens:,}",
                f"use a draft with a longer context, or {other}",
            )


def _characters(spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The characters of tokens with these spans [L, 2], token after token, and how many each has.

    An empty span counts as its next character.
    """
    lengths = np.maximum(spans[:, 1] - spans[:, 0], 1)
    before = (lengths.cumsum() - lengths).repeat(lengths)
    return spans[:, 0].repeat(lengths) + np.arange(len(before)) - before, lengths


def _dropping(tap: Tap) -> Tap:
    """The tap, followed by an eviction of the whole layer: no later token needs its entries."""

    def drop(view: LayerView) -> Entries:
        tap(view)
        return torch.empty((view.keys.shape[0], 0), dtype=torch.long, device=view.keys.device)

    return drop
