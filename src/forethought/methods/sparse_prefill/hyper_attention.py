"""Prefill that attends within hashed blocks and to a sample of the other keys.

Paper: HyperAttention, arXiv:2310.05869
Published: paper; its estimator takes uniform samples outside of the query's block, weighted by the
number of keys that they stand for, and neighbouring buckets differ in one hash bit. The sizes are
those of the authors' Triton code. That code takes the first keys, unweighted (sampling=first).
Exact: for prompts up to 2 x `exact`. Beyond it, the later half of a segment attends to the earlier
one by an estimate, and errors pass on from layer to layer.
Cost: two sorts by hash, then block + sample keys per query and halving. Layers with a sliding
window stay dense.
Example: forethought "Who signed it?" -f contract.txt -m qwen-coder-1.5b -x hyper-attention
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.roles import LayerView, SparseOutput
from forethought.contracts.score_work import LayerSizes, dense_flops
from forethought.cost.flops import attention_flops
from forethought.methods.sparse_prefill._half_pairs import estimated_pairs, half_pairs
from forethought.methods.sparse_prefill._hashed import HashedRule, attend_halves
from forethought.methods.sparse_prefill._sparse_prefill import SparsePrefill
from forethought.numerics.late_imports import torch

Bits = Annotated[int, Whole(1, 32)]


@dataclass(frozen=True)
class HyperAttention(SparsePrefill):
    """Blocks of queries and keys of similar direction, and sampled keys for the rest."""

    block: Count = 256
    """Keys of a block; the block of a query has keys with a hash near its own."""
    sample: CountOrZero = 256
    """Keys that stand for all keys outside of the block."""
    exact: Count = 2048
    """Segment length at which halving stops; attention inside a segment is exact, so prompts up to
    2 x `exact` are exact."""
    bits: Bits = 8
    """Bits of a hash."""
    sampling: Literal["uniform", "first"] = "uniform"
    """The sample: uniform and weighted, or the first keys, unweighted, as in the authors' code."""
    dense_layers: CountOrZero = 0
    """First layers, which stay dense."""
    seed: CountOrZero = 0
    """Seed of hashes and samples; every layer draws its own samples."""

    def pays(self, prompt_length: int) -> bool:
        """Whether half a prompt of this length is too long for exact attention."""
        return prompt_length > 2 * self.exact

    def attention_flops(self, layer: int, sizes: LayerSizes) -> float:
        """The pairs of halves, blocks, samples and hashes."""
        if layer < self.dense_layers or not self.pays(sizes.entries):
            return dense_flops(sizes)
        pairs = half_pairs(sizes.entries, self.exact, self._per_query)
        return attention_flops(sizes.shape, pairs)

    def _per_query(self, keys: int) -> float:
        """Pairs of a query that attends to so many keys by an estimate."""
        return estimated_pairs(keys, self.block, self.sample, self.bits)

    def uncounted(self) -> str:
        """Nothing: sizes fix the pairs."""
        return ""

    def on_attention(self, view: LayerView) -> SparseOutput | None:
        """Attention by halves; None for dense attention."""
        dense = view.layer < self.dense_layers or view.shape.window is not None
        if dense or not self.pays(view.keys.shape[1]):
            return None
        return attend_halves(view, self._rule(view))

    def _rule(self, view: LayerView) -> HashedRule:
        directions = torch.Generator().manual_seed(self.seed)
        return HashedRule(
            block=self.block,
            sample=self.sample,
            weighted=self.sampling == "uniform",
            exact=self.exact,
            hashes=torch.randn(view.keys.shape[-1], self.bits, generator=directions),
            draws=torch.Generator().manual_seed((self.seed << 16) + view.layer + 1),
        )
