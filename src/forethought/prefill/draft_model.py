"""A model that reads ahead for the target: another one, or the target's own first layers."""

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
from forethought.engine.batch import Batch, LayerHook
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.scheduler import decode
from forethought.engine.sequence import Sequence as TokenSequence
from forethought.engine.sequence import SequenceStart
from forethought.models.chat.prompt import chat_prompt
from forethought.models.model import Model

_VERY_SMALL = 2e8  # parameters in the layers of a draft
Memory = dict[Hashable, tuple[Any, Meter]]


@dataclass(frozen=True)
class ModelDraft:
    """A draft in the terms of its target's tokens (see contracts.roles.Draft)."""

    model: Model
    target: Model
    meter: Meter
    memory: Memory = field(default_factory=dict)
    """What was found before, by what was asked; shared by those who ask of the same prompts."""
    shortens: bool = True
    """Whether a method may shorten the prompt: not that of a conversation's later turn."""

    def serving(self, method: Approximation) -> ModelDraft:
        """The draft that a method is given: this one, or the target itself."""
        return replace(self, model=self.target) if method.drafts_with_itself() else self

    @property
    def name(self) -> str:
        """What the draft is called."""
        return "self" if self.is_self else self.model.name

    @property
    def is_self(self) -> bool:
        """Whether the target drafts for itself."""
        return self.model is self.target

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the target's files, then on the draft's where that is another model."""
        own = () if self.is_self else self.model.notes
        return (*self.target.notes, *(f"draft {self.name}: {note}" for note in own))

    @property
    def layers(self) -> int:
        """How many it has."""
        return len(self.model.shape.layers)

    @property
    def layer_span(self) -> tuple[int, int]:
        """First layer worth looking at, and the layer to stop before.

        Another model: the published first layer, and a stop between 0.42 and 0.6 of the way,
        the later the smaller it is beside the target; very small ones look for what was asked
        only after the middle (docs/lab-log.md). The target itself: a few early layers, or
        nothing is saved.
        """
        layers = self.layers
        if self.is_self:
            return layers // 7, max(layers // 7 + 1, round(0.27 * layers))
        own, target = self.model.shape, self.target.shape
        cheap = 0.1 * target.layer_parameters * len(target.layers) / own.layer_parameters
        least, most = (max(1, round(share * layers)) for share in (0.42, 0.6))
        least = most if own.layer_parameters * layers < _VERY_SMALL else least
        stop = min(max(int(cheap), least), most)
        return min(8, stop - 1), stop

    @cached_property
    def shares_tokens(self) -> bool:
        """Whether draft and target have the same tokenizer."""
        return self.model.tokenizer.fingerprint == self.target.tokenizer.fingerprint

    def own_prompt(self, prompt: Prompt) -> Prompt:
        """The prompt as the draft reads it: its own tokens and its own chat template."""
        if self.shares_tokens:
            return prompt
        start, stop = prompt.content
        return chat_prompt(self.model.tokenizer, self.model.template, prompt.text[start:stop])

    def read(
        self, prompt: Prompt, tap: Tap, *, layers: int | None = None, lookahead: int = 0
    ) -> list[int]:
        """Run the draft over the prompt; see contracts.roles.Draft.read."""
        own = self.own_prompt(prompt)
        model = self.model.for_length(len(own) + lookahead)
        self._check_fits(len(own) + min(lookahead, 1), model)
        lookahead = min(lookahead, model.shape.context - len(own))
        count = self.layers
        row, batch = SequenceCache(count, len(own) + lookahead), Batch(model.network, self.meter)
        if not lookahead:
            stop = None if layers is None or layers >= count else layers
            batch.read(row, own.tokens, LayerHook(_freeing(tap), len(own)), stop)
            self.meter.count("draft", len(own))
            return []
        look = LayerHook(tap, len(own))
        logits = batch.read(row, own.tokens, look)
        self.meter.count("draft", len(own))
        written = self._in_target(self._write(model.network, row, logits, look, lookahead))
        target = self.target.for_length(len(prompt) + len(written))
        return written[: max(0, target.shape.context - len(prompt))]

    def _write(
        self, network: Network, row: SequenceCache, logits: Tensor, hook: LayerHook, count: int
    ) -> list[int]:
        """Decode greedily, each step's layers shown too; an end token counts and stops."""
        guess = TokenSequence(
            network,
            self.meter,
            lambda: SequenceStart(row, logits[-1]),
            max_tokens=count,
            ends=self.model.tokenizer.ends,
            keeps_end=True,
            layer_hook=hook,
        )
        decode(guess)
        self.meter.count("draft", len(guess.tokens))
        return guess.tokens

    def _in_target(self, written: Sequence[int]) -> list[int]:
        if self.shares_tokens:
            return list(written)
        ended = written[-1] in self.model.tokenizer.ends
        text = self.model.tokenizer.decode(written[:-1] if ended else written)
        end = self.target.tokenizer.end
        closing = [end] if ended and end is not None else []
        return [*self.target.tokenizer.encode(text), *closing]

    def carry(self, importance: Tensor, prompt: Prompt) -> Tensor:
        """Scores over the draft's tokens as scores over the target's, by their characters.

        A target token scores as high as the best draft token that shares a character with it.
        """
        if self.shares_tokens:
            return importance
        own = self.own_prompt(prompt)
        given, read = (whole.text[slice(*whole.content)] for whole in (prompt, own))
        # A template may have trimmed what it was given.
        shift = prompt.content[0] + max(0, given.find(read)) - own.content[0]
        by_character = np.zeros(len(prompt.text) + 1, dtype=np.float32)
        first, last = own.content
        for (start, stop), score in zip(own.spans, importance.tolist(), strict=True):
            if first <= start < last:
                place = slice(start + shift, max(stop, start + 1) + shift)
                by_character[place] = np.maximum(by_character[place], score)
        best = [by_character[a : max(b, a + 1)].max() for a, b in prompt.spans]
        return torch.from_numpy(np.array(best, dtype=np.float32))

    def recall(self, what: Hashable, prompt: Prompt, find: Callable[[], Found]) -> Found:
        """What `find` gives, found once; see contracts.roles.Draft.recall."""
        key = (what, self.name, self.target.name, prompt.tokens, prompt.text)
        if key in self.memory:
            found, spent = self.memory[key]
            self.meter.add(spent)
            return cast(Found, found)
        before, start = self.meter.copied(), self.meter.clock()
        found = find()
        spent = self.meter.since(before)
        spent.stages["draft"] = self.meter.clock() - start
        self.memory[key] = (found, spent)
        return found

    def charge(self, tokens: int, flops: float) -> None:
        """Charge what another model did to choose."""
        self.meter.count("draft", tokens)
        self.meter.flops += flops

    def _check_fits(self, tokens: int, model: Model) -> None:
        if tokens > model.shape.context:
            other = "the method truncate before this one" if self.shortens else "begin anew"
            raise PromptTooLongError(
                f"the draft {model.name} holds {model.shape.context:,} tokens, but would "
                f"read {tokens:,}",
                f"use a draft with a longer context, or {other}",
            )


def _freeing(tap: Tap) -> Tap:
    """The tap, after which the layer's entries are dropped: no later token needs them."""

    def look(view: LayerView) -> Entries:
        tap(view)
        return torch.empty((view.keys.shape[0], 0), dtype=torch.long, device=view.keys.device)

    return look
