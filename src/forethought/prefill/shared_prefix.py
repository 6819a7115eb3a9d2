"""One reading of a prompt for many recipes: each takes its own part of the cache.

A prompt's keys and values do not depend on what is dropped afterwards, so recipes that only
differ in that share them, and each is charged as if it had read the prompt alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Entries, LayerView
from forethought.engine.batch import Batch, LayerHook
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache, cache_bytes
from forethought.engine.layer_view import CachedLayer
from forethought.engine.meter import Clock, Meter
from forethought.models.model import Model
from forethought.prefill.full_cache import FullCache
from forethought.prefill.prefill import PrefillPlan, PrefillResult, reread, settled


@dataclass
class Branch:
    """What one recipe does with a prompt that others read too."""

    plan: PrefillPlan
    prompt: Prompt
    """As its methods leave it, with its look-ahead."""
    of: int
    """Tokens of the prompt before anything was dropped."""
    meter: Meter
    kept: list[Entries | None] = field(default_factory=list)
    """What to keep of each layer, the first ones first; empty where everything stays."""
    memory: dict[int, Tensor] = field(default_factory=dict)
    """By layer, what its method remembers beside the entries."""

    @property
    def chooser(self) -> Approximation | None:
        """The method that chooses layer by layer, if there is one."""
        method = self.plan.evicting
        return None if method is None or method.sees_whole_cache() else method

    def choose(self, view: CachedLayer) -> None:
        """Let the method choose what to keep of a layer."""
        assert self.chooser is not None
        with self.meter.stage("choose"):
            own = replace(view, notes=self.memory, meter=self.meter)
            self.kept.append(self.chooser.on_layer(own))


def shared_key(plan: PrefillPlan, prompt: Prompt) -> tuple[object, ...]:
    """Equal for branches whose prompts can be read together.

    A thinned reading depends on what its method sees, a look-ahead too: it is read alone.
    """
    alone = id(plan) if plan.thinning else None
    return prompt.tokens, prompt.positions, prompt.protected, alone


def read_together(target: Model, branches: Sequence[Branch], clock: Clock) -> list[PrefillResult]:
    """Read the prompt that all branches share, and give each its own row.

    Results do not depend on which branches come together.
    """
    shared = _Shared(target, branches, clock)
    shared.read()
    for guess in dict.fromkeys(b.prompt.lookahead for b in branches if b.prompt.lookahead):
        shared.read_guess(guess)
    return [shared.reading(branch) for branch in branches]


class _Shared:
    """A prompt on its way to many branches."""

    def __init__(self, target: Model, branches: Sequence[Branch], clock: Clock) -> None:
        self.target, self.branches, self.clock = target, branches, clock
        self.meter = Meter(clock)
        self.prompt = branches[0].prompt
        layers = len(target.network.shape.layers)
        self.row = SequenceCache(layers, len(self.prompt))
        # Those who choose after the prompt was read may have a window as wide as that.
        self.row.recent = QueryWindow(len(self.prompt))
        self.logits = torch.empty(0)

    def read(self) -> None:
        """Read the prompt whole, letting those choose that need no look-ahead."""
        choosing = [b for b in self.branches if b.chooser and not b.prompt.lookahead]
        look = LayerHook(_Tap(choosing), len(self.prompt), self.prompt.protected)
        batch = Batch(self.target.network, self.meter)
        start = self.clock()
        places = self.prompt.positions
        self.logits = batch.read(self.row, self.prompt.tokens, look, positions=places)[-1]
        choice = sum(branch.meter.stages.get("choose", 0.0) for branch in choosing)
        self.meter.stages["prefill"] = self.clock() - start - choice
        self.meter.count("prompt", len(self.prompt))
        self.row.freeze()

    def read_guess(self, guess: tuple[int, ...]) -> None:
        """Read a look-ahead behind the prompt, for those it was made for."""
        choosing = [b for b in self.branches if b.chooser and b.prompt.lookahead == guess]
        meter = Meter(self.clock)
        start, before = self.clock(), sum(b.meter.stages.get("choose", 0.0) for b in choosing)
        fork, recent = self.row.fork(), self.row.recent
        assert recent is not None

        def look(view: LayerView) -> None:
            assert isinstance(view, CachedLayer)
            queries = torch.cat([recent.at(view.layer), view.queries])
            for branch in choosing:
                branch.choose(replace(view, queries=queries))

        seen = LayerHook(look, len(self.prompt), self.prompt.protected)
        Batch(self.target.network, meter).read(fork, guess, seen)
        meter.count("scoring", len(guess) + 1)
        choice = sum(b.meter.stages.get("choose", 0.0) for b in choosing) - before
        meter.stages["prefill"] = self.clock() - start - choice
        for branch in choosing:
            branch.meter.add(meter)

    def reading(self, branch: Branch) -> PrefillResult:
        """The branch's own row, and what its answer starts from."""
        meter, plan = branch.meter, branch.plan
        meter.add(self.meter)
        batch, logits = Batch(self.target.network, meter), self.logits
        if plan.evicting is not None and plan.evicting.sees_whole_cache():
            with meter.stage("choose"):
                whole = FullCache(batch, self.row, branch.prompt, self.target, logits)
                branch.kept = list(plan.evicting.on_cache(whole) or [])
        row = self._part(branch)
        if branch.prompt.lookahead is not None:
            with meter.stage("prefill"):
                logits = reread(batch, row, branch.prompt)
        row.recent = plan.sight(len(branch.prompt))
        return settled(meter, row, logits, branch.prompt, plan, branch.of)

    def _part(self, branch: Branch) -> SequenceCache:
        layers = len(self.row.tail.layers)
        with branch.meter.stage("choose"):
            row = self.row.part(branch.kept or [None] * layers, branch.memory)
        # Alone, a layer is cut before the next is read; who sees the whole cache holds it all.
        whole = cache_bytes([self.row])
        held = whole if branch.chooser is None else whole // layers
        peak = cache_bytes([row]) + (held if branch.plan.evicting else 0)
        branch.meter.peak_cache_bytes = max(branch.meter.peak_cache_bytes, peak)
        return row


@dataclass(frozen=True)
class _Tap:
    """Lets every branch choose, and drops nothing."""

    branches: Sequence[Branch]

    def __call__(self, view: LayerView) -> None:
        assert isinstance(view, CachedLayer)
        for branch in self.branches:
            branch.choose(view)
