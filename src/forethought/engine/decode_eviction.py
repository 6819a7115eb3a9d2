"""Eviction during decode: a method chooses again every so many tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from forethought.contracts.roles import Network, Tap
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import view_of
from forethought.engine.meter import Meter


@dataclass
class DecodeEviction:
    """A tap that evicts entries during decode; the sequence must share none."""

    tap: Tap
    network: Network
    every: int
    """Decode steps between two evictions."""
    prompt_length: int
    protected: frozenset[int]
    steps: int = 0

    @property
    def room(self) -> int:
        """Further tokens that a decode step may compute before entries are evicted."""
        return self.every - 1 - self.steps % self.every

    def after_step(self, cache: SequenceCache, meter: Meter) -> None:
        """Count a decode step, and let the tap evict if it is time."""
        self.steps += 1
        if self.steps % self.every:
            return
        assert cache.query_window is not None, "eviction during decode needs a query window"
        for layer in range(len(cache.tail.layers)):
            view = view_of(
                cache,
                layer,
                self.network,
                cache.query_window.at(layer),
                prompt_length=self.prompt_length,
                protected=self.protected,
                meter=meter,
                show_inputs=self._inputs(cache.query_window, layer),
            )
            kept = self.tap(replace(view, decoding=True))
            if kept is not None:
                meter.track_peak([cache])
                cache.keep(layer, kept)

    @staticmethod
    def _inputs(window: QueryWindow, layer: int) -> Callable[[], Tensor] | None:
        inputs = window.inputs
        return None if inputs is None else lambda: inputs.at(layer)
