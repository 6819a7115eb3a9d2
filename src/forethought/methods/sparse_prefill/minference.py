"""Read a prompt along the columns and diagonals that its last tokens attend to.

Paper: MInference 1.0, arXiv:2407.02490 (NeurIPS 2024): its vertical-slash pattern for every
head, with the published numbers for heads that no search was run for.
Exact: when columns or slashes reach the prompt's length; below it, keys off the chosen lines
are out of the prompt's own sight, and errors pass on from layer to layer.
Cost: attention rows of the last 64 tokens in every layer, then the chosen keys: a slash costs
up to 64 of them, fewer where slashes lie close. A look-ahead behind the prompt counts as its
last tokens. Layers with a sliding window are left as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.roles import Approximation, LayerView, Pattern
from forethought.methods.sparse_prefill._best import best


@dataclass(frozen=True)
class MInference(Approximation):
    """Columns and slashes of each query head, by the last tokens' attention."""

    columns: Count = 1000
    """Keys per layer and query head that every later token sees."""
    slashes: Count = 6096
    """Distances per layer and query head at which every token sees a key."""
    sinks: CountOrZero = 30
    """First tokens that are always among the columns."""
    nearest: Count = 100
    """Shortest distances that are always among the slashes."""
    queries: Count = 64
    """The last tokens, whose attention is summed."""

    def pays(self, prompt_length: int) -> bool:
        """Whether some tokens may see less than all before them."""
        return self.columns < prompt_length and self.slashes < prompt_length

    def thins_attention(self) -> bool:
        """Whether `on_attention` chooses what the prompt's queries see."""
        return True

    def on_attention(self, view: LayerView) -> Pattern | None:
        """The best columns and slashes of each query head; None where that would be all."""
        entries = view.keys.shape[1]
        if view.shape.window is not None or not self.pays(entries):
            return None
        vertical = view.keys.new_zeros((view.shape.heads, entries), dtype=torch.float32)
        slash = vertical.clone()
        first = entries - min(self.queries, entries)
        for rows in view.window_rows(self.queries):
            rows = rows.flatten(0, 1)  # [H, rows, E]
            vertical += rows.sum(1)
            found = slash_sums(rows, first)
            slash[:, : found.shape[1]] += found
            first += rows.shape[1]
        vertical[:, : self.sinks] = torch.inf
        slash[:, : self.nearest] = torch.inf
        return Pattern(best(vertical, self.columns), best(slash, self.slashes).flip(-1))


def slash_sums(rows: Tensor, first: int) -> Tensor:
    """[H, distances] sums of attention rows [H, R, E] by the distance from query to key.

    The queries are the tokens from `first` on, so that distances end at first + R - 1.
    """
    heads, count, entries = rows.shape
    # Reversed, a row lists its keys by distance; each row then starts one place later than the
    # one above it. Read in lines one shorter, padded rows move right by one a row.
    padded = rows.new_zeros((heads, count, entries + count))
    padded[..., :entries] = rows.flip(-1)
    width = entries + count - 1
    skewed = padded.flatten(1)[:, : count * width].view(heads, count, width)
    return skewed.sum(1)[:, entries - 1 - first :]
