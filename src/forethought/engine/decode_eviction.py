"""Asks a method again, every so many written tokens, what a row should keep."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forethought.contracts.roles import Network, Tap
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import view_of
from forethought.engine.meter import Meter


@dataclass
class DecodeEviction:
    """A tap that decides anew while an answer grows; the row must be private."""

    tap: Tap
    network: Network
    every: int
    """Tokens between two decisions."""
    prompt_length: int
    protected: frozenset[int]
    steps: int = 0

    def after_step(self, row: SequenceCache, meter: Meter) -> None:
        """Note that the row took in a token; every so often, let the tap choose."""
        self.steps += 1
        if self.steps % self.every:
            return
        assert row.recent is not None, "a reviewed row keeps its newest queries in sight"
        for layer in range(len(row.tail.layers)):
            view = view_of(
                row,
                layer,
                self.network,
                row.recent.at(layer),
                prompt_length=self.prompt_length,
                protected=self.protected,
                meter=meter,
            )
            kept = self.tap(replace(view, decoding=True))
            if kept is not None:
                meter.watch([row])
                row.keep(layer, kept)
