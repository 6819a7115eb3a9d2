"""Prefill along the columns and diagonals that the last prompt tokens attend to.

Paper: MInference 1.0, arXiv:2407.02490 (NeurIPS 2024): its vertical-slash pattern for every
head, with the published sizes for heads without a search.
Published: code; the pattern and the sizes that microsoft/MInference uses for heads without a
    search, for every head.
Exact: when columns or slashes reach the prompt's length. Below it, prompt tokens do not see keys
off the chosen lines, and errors pass on from layer to layer.
Cost: attention rows of the last 64 tokens in every layer, then the chosen keys: a slash costs
up to 64 keys, fewer where slashes lie close. A look-ahead counts as the prompt's last tokens.
Layers with a sliding window stay dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.roles import LayerView, SparseOutput
from forethought.contracts.score_work import LayerSizes, dense_flops
from forethought.cost.flops import row_flops
from forethought.methods.sparse_prefill._best import best
from forethought.methods.sparse_prefill._lines import Lines, attend_lines
from forethought.methods.sparse_prefill._sparse_prefill import SparsePrefill
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MInference(SparsePrefill):
    """Columns and slashes of each query head, by the attention of the last tokens."""

    columns: Count = 1000
    """Keys per layer and query head that every later token sees."""
    slashes: Count = 6096
    """Distances per layer and query head at which every token sees a key."""
    sinks: CountOrZero = 30
    """First tokens, which are always columns."""
    nearest: Count = 100
    """Shortest distances, which are always slashes."""
    queries: Count = 64
    """Last tokens, whose attention is summed."""

    def pays(self, prompt_length: int) -> bool:
        """Whether a prompt of this length has tokens that do not see all keys."""
        return self.columns < prompt_length and self.slashes < prompt_length

    def attention_flops(self, layer: int, sizes: LayerSizes) -> float:
        """Dense attention, since slashes may show every key, and the rows that score lines."""
        rows = row_flops(sizes.shape, sizes.entries, self.queries)
        return dense_flops(sizes) + rows * self.pays(sizes.entries)

    def on_attention(self, view: LayerView) -> SparseOutput | None:
        """Attention along the best lines of each query head; None for dense attention."""
        if view.shape.window is not None or not self.pays(view.keys.shape[1]):
            return None
        return attend_lines(view, self.lines(view))

    def lines(self, view: LayerView) -> Lines:
        """The best columns and slashes of each query head."""
        entries = view.keys.shape[1]
        vertical = view.keys.new_zeros((view.shape.heads, entries), dtype=torch.float32)
        slash = vertical.clone()
        first = entries - min(self.queries, len(view.queries))
        for rows in view.window_rows(self.queries):
            rows = rows.flatten(0, 1)  # [H, rows, E]
            vertical += rows.sum(1)
            found = slash_sums(rows, first)
            slash[:, : found.shape[1]] += found
            first += rows.shape[1]
        vertical[:, : self.sinks] = torch.inf
        slash[:, : self.nearest] = torch.inf
        return Lines(best(vertical, self.columns), best(slash, self.slashes).flip(-1))


def slash_sums(rows: Tensor, first: int) -> Tensor:
    """Sums [H, distances] of attention rows [H, R, E] by the distance from query to key.

    The queries are the tokens from `first` on, so distances end at first + R - 1.
    """
    heads, count, entries = rows.shape
    # A reversed row lists keys by distance, and each row starts one place after the row above.
    # Viewing the padded rows with a width one smaller shifts each row right by one.
    padded = rows.new_zeros((heads, count, entries + count))
    padded[..., :entries] = rows.flip(-1)
    width = entries + count - 1
    skewed = padded.flatten(1)[:, : count * width].view(heads, count, width)
    return skewed.sum(1)[:, entries - 1 - first :]
