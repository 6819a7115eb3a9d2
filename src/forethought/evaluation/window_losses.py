"""Mean loss of a window of tokens behind a prefix, for many texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import NewTokens
from forethought.models.model import Model

_TOKENS = 1024
"""Tokens of one pass."""


@dataclass(frozen=True)
class WindowLosses:
    """Scores texts with a model, and charges its meter."""

    model: Model
    meter: Meter
    prefix: int
    window: int

    def tokens(self, text: str) -> list[int]:
        """The first tokens of a text: prefix and window, or fewer if it is short."""
        return self.model.tokenizer.encode(text)[: self.prefix + self.window]

    def of(
        self, texts: Sequence[Sequence[int]], scored: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Nats per token [N] of the windows of texts [N] of prefix and window tokens each.

        `scored` receives the number of texts of each pass.
        """
        found: list[float] = []
        for few in self._passes(texts):
            found += self._pass(few)
            if scored is not None:
                scored(len(few))
        return np.array(found)

    def _passes(self, texts: Sequence[Sequence[int]]) -> Iterator[Sequence[Sequence[int]]]:
        size = max(1, _TOKENS // (self.prefix + self.window))
        return (texts[start : start + size] for start in range(0, len(texts), size))

    def _pass(self, texts: Sequence[Sequence[int]]) -> list[float]:
        layers, length = len(self.model.shape.layers), self.prefix + self.window - 1
        rows = range(self.prefix - 1, length)
        parts = [
            NewTokens(SequenceCache(layers, length), text[:length], logits_at=rows)
            for text in texts
        ]
        logits = Batch(self.model.network, self.meter).forward(parts, phase="prefill")
        self.meter.count("scoring", length * len(texts))
        wanted = torch.tensor([text[self.prefix :] for text in texts], device=logits.device)
        losses = torch.nn.functional.cross_entropy(
            logits.float(), wanted.flatten(), reduction="none"
        )
        means: list[float] = losses.view(len(texts), self.window).double().mean(1).tolist()
        return means
