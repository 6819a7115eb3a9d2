"""A window of a sequence's newest queries, for methods that score its entries later."""

from __future__ import annotations

import torch
from torch import Tensor


class QueryWindow:
    """The last `count` queries [N, H, D] of each layer, oldest first."""

    def __init__(self, count: int, *, with_inputs: bool = False) -> None:
        """`with_inputs` also holds the inputs of attention [N, hidden] of these tokens."""
        self.count = count
        self.inputs = QueryWindow(count) if with_inputs else None
        self._layers: dict[int, list[Tensor]] = {}
        self._drafted: dict[int, Tensor] = {}
        """By layer, the queries of drafted tokens."""

    def copy(self) -> QueryWindow:
        """An independent copy."""
        other = QueryWindow(self.count)
        other.inputs = None if self.inputs is None else self.inputs.copy()
        other._layers = {layer: list(held) for layer, held in self._layers.items()}
        return other

    def push(self, layer: int, queries: Tensor, drafted: int = 0) -> None:
        """Add the queries [N, H, D] of a step and drop the oldest beyond `count`.

        Those of the newest `drafted` tokens wait until `enter`.
        """
        if drafted:
            self._drafted[layer] = queries[-drafted:]
            queries = queries[:-drafted]
        # A slice would keep the whole tensor of the step alive; a copy does not.
        held = self._layers.setdefault(layer, [])
        held.append(queries[-self.count :].clone())
        while len(held) > 1 and sum(map(len, held[1:])) >= self.count:
            held.pop(0)

    def enter(self, place: int) -> None:
        """Add the queries of one of the drafted tokens."""
        for layer, queries in self._drafted.items():
            self.push(layer, queries[place : place + 1])
        if self.inputs is not None:
            self.inputs.enter(place)

    def at(self, layer: int) -> Tensor:
        """The queries [N, H, D] of one layer; N is at most `count`."""
        held = self._layers[layer]
        if len(held) > 1:
            held[:] = [torch.cat(held)]
        return held[0][-self.count :]
