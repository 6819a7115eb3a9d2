"""Counts the tokens, FLOPs, bytes and seconds of a run where they are spent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.records import Cost, LayerShape, ModelShape
from forethought.cost.flops import attention_flops, causal_pairs
from forethought.engine.cache.sequence_cache import SequenceCache, cache_bytes

Clock = Callable[[], float]


@dataclass
class Meter:
    """Tokens, FLOPs, bytes moved, seconds per stage and peak cache bytes."""

    clock: Clock
    """Monotonic seconds."""
    stages: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    """By kind: prompt, cached, output, scoring, draft."""
    flops: float = 0.0
    bytes_moved: float = 0.0
    peak_cache_bytes: int = 0
    limit: float = math.inf
    """Most FLOPs; work beyond them raises BudgetSpentError before it starts."""
    reserved: float = 0.0
    """FLOPs of the pass in progress, which is charged at its end."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to a stage."""
        start = self.clock()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + self.clock() - start

    def copy(self) -> Meter:
        """An independent copy."""
        return replace(self, stages=dict(self.stages), tokens=dict(self.tokens))

    def restore(self, before: Meter) -> None:
        """Undo everything since `before` was copied."""
        self.stages, self.tokens = dict(before.stages), dict(before.tokens)
        self.flops, self.bytes_moved = before.flops, before.bytes_moved
        self.peak_cache_bytes = before.peak_cache_bytes

    def since(self, before: Meter) -> Meter:
        """The difference to `before`, an earlier copy; stages are left out."""
        tokens = {k: n - before.tokens.get(k, 0) for k, n in self.tokens.items()}
        return Meter(
            self.clock,
            tokens={kind: count for kind, count in tokens.items() if count},
            flops=self.flops - before.flops,
            bytes_moved=self.bytes_moved - before.bytes_moved,
            peak_cache_bytes=self.peak_cache_bytes,
        )

    @property
    def limited(self) -> bool:
        """Whether it has a limit."""
        return self.limit < math.inf

    def check(self, flops: float) -> None:
        """Raise BudgetSpentError if so many further FLOPs exceed the limit."""
        if self.flops + self.reserved + flops > self.limit:
            raise BudgetSpentError(
                f"the next step takes {flops:,.0f} FLOPs, and the budget has "
                f"{max(0.0, self.limit - self.flops - self.reserved):,.0f} left",
                "give it more",
            )

    def spend(self, flops: float) -> None:
        """Charge FLOPs; raises BudgetSpentError, and charges nothing, beyond the limit."""
        self.check(flops)
        self.flops += flops

    def add(self, other: Meter) -> None:
        """Add the counts of another meter."""
        self.spend(other.flops)
        self.bytes_moved += other.bytes_moved
        self.peak_cache_bytes = max(self.peak_cache_bytes, other.peak_cache_bytes)
        for kind, tokens in other.tokens.items():
            self.count(kind, tokens)
        for name, seconds in other.stages.items():
            self.stages[name] = self.stages.get(name, 0.0) + seconds

    def count(self, kind: str, tokens: int) -> None:
        """Add tokens of a kind."""
        self.tokens[kind] = self.tokens.get(kind, 0) + tokens

    def forward(
        self,
        shape: ModelShape,
        weight_bytes: int,
        spans: Iterable[tuple[tuple[float, ...], int]],
        logits: int,
        layers: int | None,
    ) -> None:
        """Charge one forward pass; a span is (entries per layer before it, new tokens)."""
        self.bytes_moved += weight_bytes
        self.flops += 0.0 if layers else 2.0 * shape.head_parameters * logits
        used = shape.layers[:layers]
        for (past, tokens), count in Counter(spans).items():
            products = 2.0 * shape.layer_parameters * tokens * len(used)
            attention = sum(
                attention_flops(layer, causal_pairs(held, tokens, layer.window))
                for held, layer in zip(past, used, strict=False)
            )
            self.flops += count * (products + attention)

    def refund_attention(self, layer: LayerShape, pairs: float) -> None:
        """Undo the attention cost of query-key pairs that a layer skipped."""
        self.flops -= attention_flops(layer, pairs)

    def read_cache(self, size: int) -> None:
        """Charge reads of cached keys and values, in bytes."""
        self.bytes_moved += size

    def track_peak(self, caches: Iterable[SequenceCache]) -> None:
        """Raise the peak to the bytes of these caches, if they hold more."""
        self.peak_cache_bytes = max(self.peak_cache_bytes, cache_bytes(caches))

    def cost(self, seconds: float) -> Cost:
        """The cost so far."""
        return Cost(
            prompt_tokens=self.tokens.get("prompt", 0),
            cached_tokens=self.tokens.get("cached", 0),
            output_tokens=self.tokens.get("output", 0),
            scoring_tokens=self.tokens.get("scoring", 0),
            draft_tokens=self.tokens.get("draft", 0),
            flops=self.flops,
            bytes_moved=self.bytes_moved,
            seconds=seconds,
            peak_cache_bytes=self.peak_cache_bytes,
        )
