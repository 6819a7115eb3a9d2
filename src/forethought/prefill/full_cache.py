"""The full cache of a prefilled prompt, for methods that evict after prefill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Entries, LayerView, Tap
from forethought.engine.batch import Batch
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import CachedLayer, view_of
from forethought.engine.new_tokens import LayerHook
from forethought.engine.scheduler import decode
from forethought.engine.sequence import Sequence as TokenSequence
from forethought.engine.sequence import SequenceStart
from forethought.models.chat.prompt import question_tokens
from forethought.models.model import Model


@dataclass(frozen=True)
class FullCache:
    """The full cache of a prompt (see contracts.views.FullCacheView)."""

    batch: Batch
    cache: SequenceCache
    """The whole prompt in one segment, with a query window."""
    prompt: Prompt
    model: Model
    logits: Tensor
    """[V] after the last token of the prompt."""

    @cached_property
    def layers(self) -> Sequence[CachedLayer]:
        """Every layer; the query window holds the prompt's last tokens."""
        assert self.cache.query_window is not None, "a full cache has a query window"
        window = self.cache.query_window
        return [self._view(layer, window.at(layer)) for layer in range(len(self.cache.tail.layers))]

    def _view(self, layer: int, queries: Tensor) -> CachedLayer:
        network = self.batch.network
        length, meter = len(self.prompt), self.batch.meter
        return view_of(
            self.cache,
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
        """The tokens of a turn that asks `text` after a document."""
        return question_tokens(self.model.tokenizer, self.model.template, text)

    def write(self, kept: Sequence[Entries], count: int) -> Sequence[LayerView]:
        """Decode greedily after a copy cut to `kept`; see contracts.views.FullCacheView.write."""
        if not count:
            return self.layers
        copy = self.cache.subset(kept)
        copy.query_window = QueryWindow(count)
        answer = TokenSequence(
            self.batch.network,
            self.batch.meter,
            lambda: SequenceStart(copy, self.logits),
            max_tokens=count,
            ends=self.model.tokenizer.ends,
            keeps_end=True,
            caches_last=True,
        )
        decode(answer)
        self.batch.meter.count("scoring", len(answer.tokens))
        assert copy.query_window is not None, "set above"
        return [self._continued(view, copy.query_window.at(view.layer)) for view in self.layers]

    def _continued(self, view: CachedLayer, queries: Tensor) -> CachedLayer:
        """The view with further queries after the prompt, over the prompt's entries alone."""
        return replace(
            view, queries=torch.cat([view.queries, queries]), queries_beyond=len(queries)
        )

    def read(self, tokens: Sequence[int], tap: Tap, *, after: int | None = None) -> None:
        """Prefill tokens after the first `after` of the prompt; see FullCacheView.read."""
        positions = self.prompt.places(len(self.prompt) + 1)
        behind = self.cache.before(positions[len(self.prompt) if after is None else after])
        self.batch.prefill_whole(
            behind, tokens, LayerHook(tap, len(self.prompt), self.prompt.protected)
        )
        self.batch.meter.count("scoring", len(tokens))
