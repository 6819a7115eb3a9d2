"""A prompt that was read whole, as methods that choose afterwards see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Entries, LayerView, Tap
from forethought.engine.batch import Batch, LayerHook
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import CachedLayer, view_of
from forethought.engine.scheduler import decode
from forethought.engine.sequence import Sequence as TokenSequence
from forethought.engine.sequence import SequenceStart
from forethought.models.chat.prompt import question_tokens
from forethought.models.model import Model


@dataclass(frozen=True)
class FullCache:
    """The whole cache of a prompt (see contracts.roles.FullCacheView)."""

    batch: Batch
    row: SequenceCache
    """All of the prompt in one segment, its newest queries in sight."""
    prompt: Prompt
    model: Model
    logits: Tensor
    """[V], after the last token of the prompt."""

    @cached_property
    def layers(self) -> Sequence[CachedLayer]:
        """Every layer; the queries in sight are those of the prompt's last tokens."""
        assert self.row.recent is not None, "a prompt read whole keeps its queries in sight"
        recent = self.row.recent
        return [self._view(layer, recent.at(layer)) for layer in range(len(self.row.tail.layers))]

    def _view(self, layer: int, queries: Tensor) -> CachedLayer:
        network = self.batch.network
        length, meter = len(self.prompt), self.batch.meter
        return view_of(
            self.row,
            layer,
            network,
            queries,
            prompt_length=length,
            protected=self.prompt.protected,
            meter=meter,
        )

    def encode(self, text: str) -> list[int]:
        """The tokens of plain text."""
        return self.model.tokenizer.encode(text)

    def asked(self, text: str) -> list[int]:
        """The tokens that ask `text` behind a document."""
        return question_tokens(self.model.tokenizer, self.model.template, text)

    def write(self, kept: Sequence[Entries], count: int) -> Sequence[LayerView]:
        """Write greedily behind a copy cut to `kept`; see contracts.roles.FullCacheView.write."""
        if not count:
            return self.layers
        copy = self.row.part(kept)
        copy.recent = QueryWindow(count)
        answer = TokenSequence(
            self.batch.network,
            self.batch.meter,
            lambda: SequenceStart(copy, self.logits),
            max_tokens=count,
            ends=self.model.tokenizer.ends,
            keeps_end=True,
            reads_last=True,
        )
        decode(answer)
        self.batch.meter.count("scoring", len(answer.tokens))
        assert copy.recent is not None, "set above"
        return [self._continued(view, copy.recent.at(view.layer)) for view in self.layers]

    def _continued(self, view: CachedLayer, queries: Tensor) -> CachedLayer:
        """A view whose queries go on after the prompt, over the prompt's entries alone."""
        return replace(view, queries=torch.cat([view.queries, queries]), beyond=len(queries))

    def read(self, tokens: Sequence[int], tap: Tap, *, after: int | None = None) -> None:
        """Read tokens behind the first `after` of the prompt; see FullCacheView.read."""
        places = self.prompt.places(len(self.prompt) + 1)
        behind = self.row.before(places[len(self.prompt) if after is None else after])
        self.batch.read(behind, tokens, LayerHook(tap, len(self.prompt), self.prompt.protected))
        self.batch.meter.count("scoring", len(tokens))
