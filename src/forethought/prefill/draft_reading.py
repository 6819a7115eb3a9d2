"""One pass of a draft over one prompt, for all recipes that need a part of it.

Queries and entries of a layer do not depend on later layers, on later tokens, or on the scores that
a method computes from them. So one pass, as deep and as far as the recipes need together, shows
each of them the layers and decode steps of a pass of its own, bit for bit. Each is charged as if it
had run that pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from forethought.contracts.roles import LayerView, Network, Tap
from forethought.cost.flops import entry_bytes
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import CachedLayer
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import NewTokens


@dataclass(frozen=True)
class ReadingPart:
    """The part of a pass that a method needs."""

    layers: int
    lookahead: int
    """Tokens to decode after the prompt."""
    queries: int | None
    """Newest prompt tokens whose queries are used; None for all."""

    def joined(self, other: ReadingPart) -> ReadingPart:
        """The least part that holds both."""
        either = self.queries, other.queries
        known = [count for count in either if count is not None]
        return ReadingPart(
            max(self.layers, other.layers),
            max(self.lookahead, other.lookahead),
            max(known) if len(known) == len(either) else None,
        )

    def holds(self, other: ReadingPart) -> bool:
        """Whether the other part is a part of this one."""
        return self.joined(other) == self


@dataclass
class RecordedPass:
    """The layers of a prefill pass or of a decode step."""

    flops: float
    """Spent before it."""
    bytes_moved: float
    views: list[CachedLayer] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Until each layer, from the start of the prefill."""


@dataclass
class Recorder:
    """A tap that keeps what later taps may use of each layer."""

    meter: Meter
    queries: int | None
    start: float
    passes: list[RecordedPass] = field(default_factory=list)

    def __call__(self, view: LayerView) -> None:
        """Keep a layer."""
        assert isinstance(view, CachedLayer)
        if view.layer == 0:
            self.passes.append(RecordedPass(self.meter.flops, self.meter.bytes_moved))
        first = 0
        if self.queries is not None and len(self.passes) == 1:
            first = max(0, len(view.queries) - self.queries)
        newest = view.queries[first:].clone()
        alone = replace(view, queries=newest, memories={}, meter=None, show_inputs=None)
        self.passes[-1].views.append(alone)
        self.passes[-1].seconds.append(self.meter.clock() - self.start)


Run = Callable[[ReadingPart, Tap, Meter], list[int]]
"""Runs a part of a draft over the prompt, and returns the draft's tokens."""


@dataclass
class DraftReading:
    """The shared pass over one prompt; it runs when a method first needs it."""

    network: Network
    tokens: Sequence[int]
    part: ReadingPart
    """What the methods need together."""
    run: Run
    decoded: list[int] = field(default_factory=list)
    passes: list[RecordedPass] = field(default_factory=list)
    """Empty before the pass; the last one only marks the end."""

    def show(self, part: ReadingPart, tap: Tap, meter: Meter) -> list[int]:
        """Show a part to a tap, and charge it; returns the tokens that this part decodes."""
        start = meter.clock()
        if not self.passes:
            self._read(meter)
        elapsed = meter.clock() - start
        prefill, *steps = self.passes
        decoded = self.decoded[: part.lookahead]
        used = steps[: max(0, len(decoded) - 1)]
        self._charge(part, meter, used)
        for view in prefill.views[: part.layers]:
            tap(replace(view, meter=meter, memories={}))
        for view in (view for step in used for view in step.views):
            tap(replace(view, meter=meter, memories={}))
        alone = used[-1].seconds[-1] if used else prefill.seconds[part.layers - 1]
        meter.stages["draft"] = meter.stages.get("draft", 0.0) + alone - elapsed
        return decoded

    def _read(self, meter: Meter) -> None:
        own = Meter(meter.clock)
        recorder = Recorder(own, self.part.queries, own.clock())
        self.decoded = self.run(self.part, recorder, own)
        self.passes = [*recorder.passes, RecordedPass(own.flops, own.bytes_moved)]

    def _charge(self, part: ReadingPart, meter: Meter, steps: Sequence[RecordedPass]) -> None:
        """Charge a pass of this part alone, and its decode steps."""
        stop = None if part.lookahead else part.layers
        tokens = NewTokens(SequenceCache(part.layers), self.tokens)
        Batch(self.network, meter).charge([tokens], "prefill", stop)
        if steps:
            first, end = self.passes[1], self.passes[1 + len(steps)]
            meter.spend(end.flops - first.flops)
            meter.read_cache(int(end.bytes_moved - first.bytes_moved))
        meter.count("draft", len(self.tokens))
        if part.lookahead:
            meter.count("draft", len(self.decoded[: part.lookahead]))
        meter.peak_cache_bytes = max(meter.peak_cache_bytes, self._peak(part))

    def _peak(self, part: ReadingPart) -> int:
        """Cache bytes: of all layers for a look-ahead, else of one, since entries are dropped."""
        shape, size = self.network.shape, self.network.dtype.itemsize
        held = shape.layers if part.lookahead else shape.layers[:1]
        tokens = len(self.tokens) + part.lookahead
        return entry_bytes(replace(shape, layers=held), size) * tokens
