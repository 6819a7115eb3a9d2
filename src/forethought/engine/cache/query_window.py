"""The newest queries of a row, kept in sight for whoever scores its entries later."""

from __future__ import annotations

import torch
from torch import Tensor


class QueryWindow:
    """By layer, the last `count` queries [N, H, D], oldest first."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._layers: dict[int, list[Tensor]] = {}

    def copied(self) -> QueryWindow:
        """The same queries, apart from here on."""
        other = QueryWindow(self.count)
        other._layers = {layer: list(held) for layer, held in self._layers.items()}
        return other

    def push(self, layer: int, queries: Tensor) -> None:
        """Add the queries of a step [N, H, D]; the oldest beyond `count` go."""
        # Copies: what is handed in is a part of a larger tensor that would stay alive with it.
        held = self._layers.setdefault(layer, [])
        held.append(queries[-self.count :].clone())
        while len(held) > 1 and sum(map(len, held[1:])) >= self.count:
            held.pop(0)

    def at(self, layer: int) -> Tensor:
        """[N, H, D] of one layer, N at most `count`."""
        held = self._layers[layer]
        if len(held) > 1:
            held[:] = [torch.cat(held)]
        return held[0][-self.count :]
