"""The prefill that carries out the plan of a prompt's methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from forethought.contracts.records import Kept, Prompt
from forethought.contracts.roles import Entries, LayerView, Network, Tap
from forethought.cost.flops import entry_bytes
from forethought.engine.batch import Batch
from forethought.engine.cache.blocks import SLACK
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache, cache_bytes
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import LayerHook
from forethought.models.model import Model
from forethought.prefill.full_cache import FullCache
from forethought.prefill.plan import PrefillPlan
from forethought.prefill.prefill_reuse import PromptPrefix


@dataclass(frozen=True)
class PrefillResult:
    """The cache of a prefilled prompt."""

    cache: SequenceCache
    logits: Tensor
    """[V] after the last token of the prompt."""
    kept: Kept
    state: Tensor | None = None
    """The final hidden state [hidden] behind the logits."""


def prefill(
    batch: Batch,
    target: Model,
    prompt: Prompt,
    plan: PrefillPlan,
    original_length: int,
    past: SequenceCache | None = None,
    prefix: PromptPrefix | None = None,
) -> PrefillResult:
    """Prefill a prompt and evict entries as planned.

    `original_length` is the prompt's length before methods shortened it. `past` is the cache of a
    first part of the prompt; the rest is prefilled after it. `prefix` is the part that the prefix
    cache holds; exact entries of the rest are stored there before any eviction.
    """
    cache = past or _opened(batch.network, prompt, plan, prefix)
    start = cache.next if prefix is None else prefix.tokens
    evicting = plan.evicting
    if evicting is not None and evicting.sees_whole_cache():
        cache, logits = _prefill_then_evict(batch, cache, target, prompt, plan, prefix)
    elif evicting is not None or plan.sparse_prefill is not None:
        logits = _prefill_with_hook(batch, cache, prompt, plan, prefix)
    else:
        logits = _prefill_rest(batch, cache, prompt, prefix)
    if plan.exact and prefix is not None:
        cache = prefix.settle(cache)
    batch.meter.count("prompt", len(prompt) - start)
    batch.meter.count("cached", start)
    return finished(batch.meter, cache, logits, prompt, plan, original_length)


def finished(
    meter: Meter,
    cache: SequenceCache,
    logits: Tensor,
    prompt: Prompt,
    plan: PrefillPlan,
    original_length: int,
) -> PrefillResult:
    """The result of a prefill, with its entries quantised as planned and its cost charged."""
    kept = _kept_tokens(cache, prompt, original_length)
    if plan.bits < 16:
        cache.pack(plan.bits)
    meter.track_peak([cache])
    return PrefillResult(cache, logits, replace(kept, cache_bytes=cache_bytes([cache])))


def _opened(
    network: Network, prompt: Prompt, plan: PrefillPlan, prefix: PromptPrefix | None
) -> SequenceCache:
    """The cache that the prefill fills: empty, or with the entries of the cached prefix.

    Evictions and quantisation change entries, so they get copies.
    """
    room = len(prompt) + len(prompt.lookahead or ())
    if prefix is None or not prefix.tokens:
        return SequenceCache(len(network.shape.layers), room)
    return prefix.shared_cache() if plan.exact else prefix.private_cache(room)


def _prefill_rest(
    batch: Batch, cache: SequenceCache, prompt: Prompt, prefix: PromptPrefix | None
) -> Tensor:
    """Prefill a prompt without hooks; a cancelled prefill stores its complete chunks too."""
    if prefix is None:
        start = cache.next
        return batch.prefill(cache, prompt.tokens[start:], prompt.positions[start:])
    start = prefix.tokens
    try:
        return batch.prefill(cache, prompt.tokens[start:], prompt.positions[start:])
    finally:
        prefix.store(cache)


def _prefill_with_hook(
    batch: Batch,
    cache: SequenceCache,
    prompt: Prompt,
    plan: PrefillPlan,
    prefix: PromptPrefix | None,
) -> Tensor:
    """Prefill the prompt and its look-ahead; methods see each layer.

    Evictions need one pass, and so does a sparse prefill that looks at the prompt's last tokens.
    """
    evicting, sparse = plan.evicting, plan.sparse_prefill
    guess = prompt.lookahead or ()
    # The guess of another method neither scores entries nor stays in the cache.
    hidden_tail = len(guess) if evicting and not evicting.uses_draft() else 0
    keeping = _keeping(batch.network, plan, prefix)
    hook = LayerHook(
        keeping or (evicting.on_layer if evicting else _keep_all),
        len(prompt),
        prompt.protected,
        sparse.on_attention if sparse else None,
        hidden_tail,
    )
    cache.query_window = plan.query_window(len(prompt)) if evicting else None
    tokens = [*prompt.tokens, *guess]
    places = prompt.places(len(tokens))
    start = cache.next if prefix is None else prefix.tokens
    if evicting is None and sparse is not None and sparse.attends_in_chunks():
        return batch.prefill(cache, tokens[start:], places[start:], hook)
    logits = batch.prefill_whole(cache, tokens[start:], hook, positions=places[start:])
    if keeping is not None:
        keeping.store(places)
    if prompt.lookahead is None:
        return logits[-1]
    batch.meter.count("scoring", len(guess))
    if hidden_tail:
        cache.truncate(places[len(prompt)])
        return logits[-1]
    # The look-ahead only scored entries. Rewind to before the last prompt token, whose
    # logits start the answer.
    batch.meter.count("scoring", 1)
    return prefill_last_token(batch, cache, prompt)


def prefill_last_token(batch: Batch, cache: SequenceCache, prompt: Prompt) -> Tensor:
    """Logits [V] of the last prompt token, prefilled again over the remaining entries."""
    last = prompt.places(len(prompt))[-1:]
    cache.truncate(last[0])
    cache.slack = 0  # the entries are at their budget, and room for the answer comes later
    logits = batch.prefill(cache, prompt.tokens[-1:], last)
    cache.slack = SLACK
    return logits


@dataclass(frozen=True)
class _Keeping:
    """A tap that copies each layer's exact entries before the method evicts from it."""

    tap: Tap
    prefix: PromptPrefix
    copies: SequenceCache

    def __call__(self, view: LayerView) -> Entries | None:
        own = slice(self.prefix.tokens, len(self.prefix.key))
        keys, values = (held[:, own].transpose(0, 1) for held in (view.keys, view.values))
        self.copies.append(view.layer, keys, values)
        return self.tap(view)

    def store(self, places: Sequence[int]) -> None:
        """Store the copies."""
        self.copies.place(places[self.prefix.tokens : len(self.prefix.key)])
        self.prefix.store(self.copies, self.prefix.tokens)


def _keeping(network: Network, plan: PrefillPlan, prefix: PromptPrefix | None) -> _Keeping | None:
    """The tap that keeps exact entries for the prefix cache; None if it may not have them."""
    if prefix is None or plan.evicting is None or plan.sparse_prefill is not None:
        return None
    if not prefix.has_room(int(entry_bytes(network.shape, network.dtype.itemsize))):
        return None
    copies = SequenceCache(prefix.layers, len(prefix.key) - prefix.tokens)
    return _Keeping(plan.evicting.on_layer, prefix, copies)


def _keep_all(view: LayerView) -> None:
    """Evict nothing."""


def _prefill_then_evict(
    batch: Batch,
    cache: SequenceCache,
    target: Model,
    prompt: Prompt,
    plan: PrefillPlan,
    prefix: PromptPrefix | None,
) -> tuple[SequenceCache, Tensor]:
    """Prefill the whole prompt, then keep the entries that the method chooses."""
    assert plan.evicting is not None
    cache.query_window = QueryWindow(len(prompt))  # a method may use all queries of the prompt
    logits = _prefill_rest(batch, cache, prompt, prefix)
    # The passes that only score entries show no states.
    scoring = Batch(batch.network, batch.meter)
    kept = plan.evicting.on_cache(FullCache(scoring, cache, prompt, target, logits))
    return (cache if kept is None else cache.subset(kept)), logits


def _kept_tokens(cache: SequenceCache, prompt: Prompt, original_length: int) -> Kept:
    origins = prompt.origins or tuple(range(len(prompt)))
    whole = all(layer.kept is None for layer in cache.tail.layers)
    if whole:
        return Kept(len(prompt), original_length, origins)
    shapes = cache.tail.layers
    heads = [
        h
        for layer in range(len(shapes))
        for h in cache.tail.token_indices(layer, _heads(cache, layer))
    ]
    votes = torch.bincount(torch.cat(heads), minlength=len(prompt))[: len(prompt)] / len(heads)
    seen = votes.nonzero().flatten().tolist()
    shares = tuple(round(float(votes[i]), 4) for i in seen)
    return Kept(len(prompt), original_length, tuple(origins[i] for i in seen), shares)


def _heads(cache: SequenceCache, layer: int) -> int:
    """Heads of a layer with an eviction that choose separately; 1 without one."""
    kept = cache.tail.layers[layer].kept
    return 1 if kept is None else len(kept)
