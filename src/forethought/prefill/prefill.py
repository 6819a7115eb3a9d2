"""From a question to a cache the answer can be written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from forethought.contracts.errors import UsageError
from forethought.contracts.records import Kept, Prompt
from forethought.contracts.roles import Approximation, LayerView, Network
from forethought.cost.flops import prefill_flops
from forethought.engine.batch import Batch, LayerHook
from forethought.engine.cache.blocks import SLACK
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache, cache_bytes
from forethought.engine.decode_eviction import DecodeEviction
from forethought.engine.meter import Meter
from forethought.models.model import Model
from forethought.prefill.draft_model import ModelDraft
from forethought.prefill.full_cache import FullCache

Methods = Sequence[tuple[str, Approximation]]
"""Methods with their spellings."""

_LONG = 1 << 40  # tokens: more than any budget in tokens
SIGHT = 256  # newest queries kept in sight for methods that choose later


@dataclass(frozen=True)
class PrefillPlan:
    """The approximations that apply to a prompt; notes on the models, and why others do not."""

    applied: tuple[Approximation, ...]
    notes: tuple[str, ...] = ()

    @property
    def evicting(self) -> Approximation | None:
        """The one that drops cache entries, if any."""
        return next((method for method in self.applied if method.evicts()), None)

    @property
    def thinning(self) -> Approximation | None:
        """The one that chooses what the prompt's queries see, if any."""
        return next((method for method in self.applied if method.thins_attention()), None)

    @property
    def bits(self) -> int:
        """Bits of a stored key or value."""
        return min([16, *(method.cache_bits() for method in self.applied)])

    def sight(self, length: int) -> QueryWindow | None:
        """What keeps the newest queries of a row in sight, where they are asked for later."""
        if self.evicting is None or not self.evicting.evicts_every():
            return None
        return QueryWindow(max(SIGHT, self.evicting.evicts_every()))

    @property
    def evicts_again(self) -> bool:
        """Whether entries are dropped while an answer is decoded."""
        return self.evicting is not None and self.evicting.evicts_every() > 0

    def decode_eviction(self, network: Network, prompt: Prompt) -> DecodeEviction | None:
        """Decides again which entries stay while an answer is decoded; None where nothing does."""
        method = self.evicting
        if method is None or not method.evicts_every():
            return None
        places = prompt.places(len(prompt))
        protected = frozenset(places[i] for i in prompt.protected)
        return DecodeEviction(
            method.on_layer, network, method.evicts_every(), prompt.end, protected
        )


@dataclass(frozen=True)
class PrefillResult:
    """A prompt that was read."""

    row: SequenceCache
    logits: Tensor
    """[V], after the last token of the prompt."""
    kept: Kept


def plan(methods: Methods, prompt: Prompt, draft: ModelDraft) -> PrefillPlan:
    """Leave out what would drop nothing, and a draft that costs more than it saves."""
    applied: list[Approximation] = []
    notes = list(draft.notes)
    length = len(prompt)
    for name, method in methods:
        if not method.pays(length):
            notes.append(f"{name} skipped: nothing to drop from a prompt of {length:,} tokens")
        elif not _draft_pays(method, length, draft.serving(method)):
            notes.append(f"{name} skipped: its draft would cost more than it saves")
        else:
            applied.append(method)
            length = method.reads(length)
    _check_order(methods)
    return PrefillPlan(tuple(applied), tuple(notes))


def _check_order(methods: Methods) -> None:
    """Raise UsageError unless methods of one kind stand alone, and shortening comes first."""
    evicting = [name for name, method in methods if method.evicts()]
    if len(evicting) > 1:
        raise UsageError(
            "two methods of one recipe drop cache entries", "keep one of them, or run both apart"
        )
    thinning = [name for name, method in methods if method.thins_attention()]
    if len(thinning) > 1:
        raise UsageError("two methods of one recipe thin attention", "keep one of them")
    packing = [name for name, method in methods if method.cache_bits() < 16]
    if len(packing) > 1:
        raise UsageError("two methods of one recipe pack the cache", "keep one of them")
    whole = [name for name, method in methods if method.sees_whole_cache()]
    if whole and thinning:
        raise UsageError(
            f"{whole[0]} scores a prompt that was read whole, which {thinning[0]} does not do",
            "keep one of them",
        )
    guessing = [
        name for name, method in methods if method.thins_attention() and method.uses_draft()
    ]
    again = [name for name, method in methods if method.evicts_every()]
    if again and guessing:
        raise UsageError(
            f"{again[0]} goes on dropping entries by the newest queries, among which are those of "
            f"the guess that {guessing[0]} has written",
            "use every=0, or minference, which needs no guess",
        )
    if again and packing:
        raise UsageError(
            f"{again[0]} goes on dropping entries, which {packing[0]} has packed away",
            "use every=0, or leave one of them out",
        )
    inside = {*evicting, *thinning, *packing}
    for place, (name, _) in enumerate(methods):
        later = [(one, m) for one, m in methods[place:] if one not in inside]
        shortening = [one for one, method in later if method.reads(_LONG) < _LONG]
        if name in inside and shortening:
            what = "drops cache entries" if name in evicting else "works on the cache"
            raise UsageError(
                f"{name} {what}, but stands before {shortening[0]}, which shortens the prompt",
                f"put {name} last",
            )


def _draft_pays(method: Approximation, length: int, draft: ModelDraft) -> bool:
    """Whether a method that shortens the prompt saves more FLOPs than its draft spends.

    Methods that only drop cache entries are taken at their word: they save memory.
    """
    reads = method.reads(length)
    if not method.uses_draft() or method.evicts() or reads == length:
        return True
    if draft.target.for_length(length).shape.context <= length:
        return True  # without it there would be no answer at all
    return reading_flops([method], length, draft) < reading_flops([], length, draft)


def reading_flops(methods: Sequence[Approximation], length: int, draft: ModelDraft) -> float:
    """FLOPs of the drafts over a prompt, and of the target over what they leave of it."""
    spent = 0.0
    for method in methods:
        if method.uses_draft():
            own = draft.serving(method)
            layers = method.draft_layers(own)
            stop = layers if layers < own.layers else None
            spent += prefill_flops(own.model.shape, length, stop)
        length = method.reads(length)
    return spent + prefill_flops(draft.target.shape, length)


def shortened(plan: PrefillPlan, prompt: Prompt, draft: ModelDraft, answer_tokens: int) -> Prompt:
    """The prompt the target will read."""
    for method in plan.applied:
        prompt = method.on_prompt(prompt, draft.serving(method), answer_tokens)
    return prompt


def read(
    batch: Batch,
    target: Model,
    prompt: Prompt,
    plan: PrefillPlan,
    of: int,
    past: SequenceCache | None = None,
) -> PrefillResult:
    """Read a prompt into a row, dropping entries as the plan says.

    `of` is the length of the prompt before anything was dropped. With `past`, a row that was
    read up to somewhere in the prompt, the rest is read behind it.
    """
    layers = len(batch.network.shape.layers)
    row = past or SequenceCache(layers, len(prompt) + len(prompt.lookahead or ()))
    start = row.next
    evicting = plan.evicting
    if evicting is not None and evicting.sees_whole_cache():
        row, logits = _read_whole(batch, row, target, prompt, plan)
    elif evicting is not None or plan.thinning is not None:
        logits = _read_shown(batch, row, prompt, plan)
    else:
        logits = batch.prefill(row, prompt.tokens[start:], prompt.positions[start:])
    batch.meter.count("prompt", len(prompt) - start)
    batch.meter.count("cached", start)
    return settled(batch.meter, row, logits, prompt, plan, of)


def settled(
    meter: Meter, row: SequenceCache, logits: Tensor, prompt: Prompt, plan: PrefillPlan, of: int
) -> PrefillResult:
    """What was read, packed as the plan says and counted."""
    kept = _kept(row, prompt, of)
    if plan.bits < 16:
        row.pack(plan.bits)
    meter.watch([row])
    return PrefillResult(row, logits, replace(kept, cache_bytes=cache_bytes([row])))


def _read_shown(batch: Batch, row: SequenceCache, prompt: Prompt, plan: PrefillPlan) -> Tensor:
    """Read the prompt and its look-ahead in one pass, showing every layer as it comes."""
    evicting, thinning = plan.evicting, plan.thinning
    guess = prompt.lookahead or ()
    # A guess that was written for another method is nothing to score by, nor to be kept.
    hidden_tail = len(guess) if evicting and not evicting.uses_draft() else 0
    look = LayerHook(
        evicting.on_layer if evicting else _keep_all,
        len(prompt),
        prompt.protected,
        thinning.on_attention if thinning else None,
        hidden_tail,
    )
    row.recent = plan.sight(len(prompt)) if evicting else None
    tokens = [*prompt.tokens, *guess]
    places, start = prompt.places(len(tokens)), row.next
    logits = batch.read(row, tokens[start:], look, positions=places[start:])
    if prompt.lookahead is None:
        return logits[-1]
    batch.meter.count("scoring", len(guess))
    if hidden_tail:
        row.settle(places[len(prompt)])
        return logits[-1]
    # The look-ahead was only there to score: back to before the last prompt token, whose
    # logits the answer starts from.
    batch.meter.count("scoring", 1)
    return reread(batch, row, prompt)


def reread(batch: Batch, row: SequenceCache, prompt: Prompt) -> Tensor:
    """Logits [V] after the last prompt token, read again over what is left before it."""
    last = prompt.places(len(prompt))[-1:]
    row.settle(last[0])
    row.slack = 0  # what is held behind the prompt is the budget, and no room for the answer yet
    logits = batch.prefill(row, prompt.tokens[-1:], last)
    row.slack = SLACK
    return logits


def _keep_all(view: LayerView) -> None:
    """Drop nothing."""


def _read_whole(
    batch: Batch, row: SequenceCache, target: Model, prompt: Prompt, plan: PrefillPlan
) -> tuple[SequenceCache, Tensor]:
    """Read the prompt whole, then take the part of it that the plan's method keeps."""
    assert plan.evicting is not None
    row.recent = QueryWindow(len(prompt))  # a window may be as wide as the prompt
    logits = batch.prefill(row, prompt.tokens, prompt.positions)
    kept = plan.evicting.on_cache(FullCache(batch, row, prompt, target, logits))
    return (row if kept is None else row.part(kept)), logits


def _kept(row: SequenceCache, prompt: Prompt, of: int) -> Kept:
    origins = prompt.origins or tuple(range(len(prompt)))
    whole = all(layer.kept is None for layer in row.tail.layers)
    if whole:
        return Kept(len(prompt), of, origins)
    shapes = row.tail.layers
    heads = [h for layer in range(len(shapes)) for h in row.tail.places(layer, _heads(row, layer))]
    votes = torch.bincount(torch.cat(heads), minlength=len(prompt))[: len(prompt)] / len(heads)
    seen = votes.nonzero().flatten().tolist()
    shares = tuple(round(float(votes[i]), 4) for i in seen)
    return Kept(len(prompt), of, tuple(origins[i] for i in seen), shares)


def _heads(row: SequenceCache, layer: int) -> int:
    """How many key heads a layer that was cut has."""
    kept = row.tail.layers[layer].kept
    return 1 if kept is None else len(kept)
