"""One prefill of a prompt for many recipes; each gets its own subset of the entries.

Keys and values of a prompt do not depend on a later eviction. So recipes that differ only in their
evictions share them, and each is charged as if it had run the prefill alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Entries, LayerView
from forethought.engine.batch import Batch
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache, cache_bytes
from forethought.engine.final_states import FinalStates
from forethought.engine.layer_view import CachedLayer
from forethought.engine.meter import Clock, Meter
from forethought.engine.new_tokens import LayerHook
from forethought.models.model import Model
from forethought.prefill.full_cache import FullCache
from forethought.prefill.plan import PrefillPlan
from forethought.prefill.prefill import PrefillResult, finished, prefill_last_token


@dataclass
class Branch:
    """One recipe of a shared prefill."""

    plan: PrefillPlan
    prompt: Prompt
    """The shortened prompt with its look-ahead."""
    original_length: int
    """Tokens of the prompt before methods shortened it."""
    meter: Meter
    kept: list[Entries | None] = field(default_factory=list)
    """The entries to keep of each layer so far; empty if all stay."""
    memory: dict[int, Tensor] = field(default_factory=dict)
    """The scores that the method remembers beside the entries, by layer."""

    @property
    def layerwise(self) -> Approximation | None:
        """The method that evicts layer by layer, if any."""
        method = self.plan.evicting
        return None if method is None or method.sees_whole_cache() else method

    def choose(self, view: CachedLayer) -> None:
        """Let the method choose the entries of a layer."""
        assert self.layerwise is not None
        with self.meter.stage("choose"):
            own = replace(view, memories=self.memory, meter=self.meter)
            self.kept.append(self.layerwise.on_layer(own))


def shared_key(plan: PrefillPlan, prompt: Prompt) -> tuple[object, ...]:
    """The key of prompts that can share a prefill.

    Sparse prefill and a choice of neurons depend on their methods, so they run alone.
    """
    alone = id(plan) if plan.sparse_prefill or plan.chooses_neurons else None
    return prompt.tokens, prompt.positions, prompt.protected, alone


def prefill_together(
    target: Model, branches: Sequence[Branch], clock: Clock
) -> list[PrefillResult]:
    """Prefill the prompt of all branches once, and give each its own cache.

    The results do not depend on the set of branches.
    """
    shared = _SharedPrefill(target, branches, clock)
    shared.prefill()
    for lookahead in dict.fromkeys(b.prompt.lookahead for b in branches if b.prompt.lookahead):
        shared.prefill_lookahead(lookahead)
    return [shared.result(branch) for branch in branches]


class _SharedPrefill:
    """The prefill that branches share."""

    def __init__(self, target: Model, branches: Sequence[Branch], clock: Clock) -> None:
        self.target, self.branches, self.clock = target, branches, clock
        self.meter = Meter(clock)
        self.prompt = branches[0].prompt
        layers = len(target.network.shape.layers)
        self.cache = SequenceCache(layers, len(self.prompt))
        # Methods that evict after prefill may use all queries of the prompt.
        self.cache.query_window = QueryWindow(len(self.prompt))
        self.logits = torch.empty(0)
        self.shown = FinalStates()

    def prefill(self) -> None:
        """Prefill the whole prompt; methods without a look-ahead choose during the pass."""
        choosing = [b for b in self.branches if b.layerwise and not b.prompt.lookahead]
        hook = LayerHook(_Tap(choosing), len(self.prompt), self.prompt.protected)
        batch = Batch(self.target.network, self.meter, final=self.shown)
        start = self.clock()
        positions = self.prompt.positions
        self.logits = batch.prefill_whole(
            self.cache, self.prompt.tokens, hook, positions=positions
        )[-1]
        choice = sum(branch.meter.stages.get("choose", 0.0) for branch in choosing)
        self.meter.stages["prefill"] = self.clock() - start - choice
        self.meter.count("prompt", len(self.prompt))
        self.cache.freeze()

    def prefill_lookahead(self, lookahead: tuple[int, ...]) -> None:
        """Prefill a look-ahead after the prompt, for the methods that it belongs to."""
        choosing = [b for b in self.branches if b.layerwise and b.prompt.lookahead == lookahead]
        meter = Meter(self.clock)
        start, before = self.clock(), sum(b.meter.stages.get("choose", 0.0) for b in choosing)
        fork, window = self.cache.fork(), self.cache.query_window
        assert window is not None

        def tap(view: LayerView) -> None:
            assert isinstance(view, CachedLayer)
            queries = torch.cat([window.at(view.layer), view.queries])
            for branch in choosing:
                branch.choose(replace(view, queries=queries))

        hook = LayerHook(tap, len(self.prompt), self.prompt.protected)
        Batch(self.target.network, meter).prefill_whole(fork, lookahead, hook)
        meter.count("scoring", len(lookahead) + 1)
        choice = sum(b.meter.stages.get("choose", 0.0) for b in choosing) - before
        meter.stages["prefill"] = self.clock() - start - choice
        for branch in choosing:
            branch.meter.add(meter)

    def result(self, branch: Branch) -> PrefillResult:
        """The cache of a branch and the logits that start its answer."""
        meter, plan = branch.meter, branch.plan
        meter.add(self.meter)
        batch, logits = Batch(self.target.network, meter), self.logits
        shown = self.shown
        if plan.evicting is not None and plan.evicting.sees_whole_cache():
            with meter.stage("choose"):
                whole = FullCache(batch, self.cache, branch.prompt, self.target, logits)
                branch.kept = list(plan.evicting.on_cache(whole) or [])
        cache = self._subset(branch)
        if branch.prompt.lookahead is not None:
            shown = FinalStates()
            last = Batch(self.target.network, meter, final=shown)
            with meter.stage("prefill"):
                logits = prefill_last_token(last, cache, branch.prompt)
        cache.query_window = plan.query_window(len(branch.prompt))
        done = finished(meter, cache, logits, branch.prompt, plan, branch.original_length)
        return replace(done, state=shown.last)

    def _subset(self, branch: Branch) -> SequenceCache:
        layers = len(self.cache.tail.layers)
        with branch.meter.stage("choose"):
            cache = self.cache.subset(branch.kept or [None] * layers, branch.memory)
        # A run alone evicts from a layer before the next one runs; `on_cache` needs all layers.
        whole = cache_bytes([self.cache])
        held = whole if branch.layerwise is None else whole // layers
        peak = cache_bytes([cache]) + (held if branch.plan.evicting else 0)
        branch.meter.peak_cache_bytes = max(branch.meter.peak_cache_bytes, peak)
        return cache


@dataclass(frozen=True)
class _Tap:
    """Lets every branch choose, and evicts nothing."""

    branches: Sequence[Branch]

    def __call__(self, view: LayerView) -> None:
        assert isinstance(view, CachedLayer)
        for branch in self.branches:
            branch.choose(view)
