"""From a question to a cache the answer can be written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.errors import PromptTooLongError, UsageError
from forethought.contracts.records import Kept, Prompt
from forethought.contracts.roles import Approximation
from forethought.cost.flops import prefill_flops
from forethought.engine.batch import Batch, Look
from forethought.engine.cache import Row, cache_bytes
from forethought.models.model import Model
from forethought.runs.draft import ModelDraft

Methods = Sequence[tuple[str, Approximation]]
"""Methods with their spellings."""

ROOM = 64  # entries reserved behind a prompt for the answer


@dataclass(frozen=True)
class Plan:
    """The approximations that apply to a prompt, and why others do not."""

    applied: tuple[Approximation, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A prompt that was read."""

    row: Row
    logits: Tensor
    """[V], after the last token of the prompt."""
    kept: Kept


def plan(methods: Methods, prompt: Prompt, draft: ModelDraft) -> Plan:
    """Leave out what would drop nothing, and a draft that costs more than it saves."""
    applied: list[Approximation] = []
    notes: list[str] = []
    length = len(prompt)
    for name, method in methods:
        if not method.pays(length):
            notes.append(f"{name} skipped: nothing to drop from a prompt of {length:,} tokens")
        elif not _draft_pays(method, length, draft):
            notes.append(f"{name} skipped: its draft would cost more than it saves")
        else:
            applied.append(method)
            length = method.reads(length)
    _check_order(methods)
    return Plan(tuple(applied), tuple(notes))


def _check_order(methods: Methods) -> None:
    """Raise UsageError unless a method that drops cache entries is the only one, and last."""
    evicting = [name for name, method in methods if method.evicts()]
    if len(evicting) > 1:
        raise UsageError(
            "two methods of one recipe drop cache entries", "keep one of them, or run both apart"
        )
    if evicting and methods[-1][0] != evicting[0]:
        raise UsageError(
            f"{evicting[0]} drops cache entries, but stands before {methods[-1][0]}, which "
            "shortens the prompt",
            f"put {evicting[0]} last",
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
            layers = method.draft_layers(draft)
            stop = layers if layers < draft.layers else None
            spent += prefill_flops(draft.model.shape, length, stop)
        length = method.reads(length)
    return spent + prefill_flops(draft.target.shape, length)


def shortened(plan: Plan, prompt: Prompt, draft: ModelDraft, answer_tokens: int) -> Prompt:
    """The prompt the target will read."""
    for method in plan.applied:
        prompt = method.on_prompt(prompt, draft, answer_tokens)
    return prompt


def read(batch: Batch, prompt: Prompt, plan: Plan, of: int) -> Reading:
    """Read a prompt into a new row, dropping entries as the plan says.

    `of` is the length of the prompt before anything was dropped.
    """
    layers = len(batch.network.shape.layers)
    row = Row(layers, len(prompt) + len(prompt.lookahead or ()) + ROOM)
    evicting = next((method for method in plan.applied if method.evicts()), None)
    if evicting is None:
        logits = batch.prefill(row, prompt.tokens)
    else:
        logits = _read_evicting(batch, row, prompt, evicting)
    batch.meter.count("prompt", len(prompt))
    batch.meter.watch([row])
    return Reading(row, logits, _kept(row, prompt, of))


def _read_evicting(batch: Batch, row: Row, prompt: Prompt, method: Approximation) -> Tensor:
    look = Look(method.on_layer, len(prompt), prompt.protected)
    logits = batch.read(row, [*prompt.tokens, *(prompt.lookahead or ())], look)
    if prompt.lookahead is None:
        return logits[-1]
    # The look-ahead was only there to score: back to before the last prompt token, whose
    # logits the answer starts from.
    batch.meter.count("scoring", len(prompt.lookahead) + 1)
    row.settle(len(prompt) - 1)
    return batch.prefill(row, prompt.tokens[-1:])


def _kept(row: Row, prompt: Prompt, of: int) -> Kept:
    origins = prompt.origins or tuple(range(len(prompt)))
    held = [row.positions_at(layer) for layer in range(len(row.tail.layers))]
    if all(places.dim() == 1 for places in held):
        return Kept(len(prompt), of, origins, cache_bytes=cache_bytes([row]))
    heads = [head for places in held for head in places.reshape(-1, places.shape[-1])]
    votes = torch.bincount(torch.cat(heads), minlength=len(prompt))[: len(prompt)] / len(heads)
    seen = votes.nonzero().flatten().tolist()
    shares = tuple(round(float(votes[i]), 4) for i in seen)
    return Kept(len(prompt), of, tuple(origins[i] for i in seen), shares, cache_bytes([row]))


def check_context(prompt: Prompt, target: Model, draft: ModelDraft) -> None:
    """Raise PromptTooLongError, naming what would make the prompt fit."""
    context = target.shape.context
    if len(prompt) < context:
        return
    fit = max(1, context * 3 // 4)
    methods = [f"-x 'truncate(keep={fit})'"]
    if draft.model.for_length(len(prompt)).shape.context > len(prompt):
        methods.insert(0, f"-x 'specpc(keep={fit})'")
    raise PromptTooLongError(
        f"the prompt has {len(prompt):,} tokens, but {target.name} holds {context:,}, "
        "the answer included",
        f"shorten it with {' or '.join(methods)}",
    )
