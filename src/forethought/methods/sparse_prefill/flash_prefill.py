"""Block-sparse prefill: each query tile attends to the key blocks whose mean key scores highest.

Paper: FlashPrefill V2, arXiv:2608.19758 (2026), the successor of arXiv:2603.06199.
Published: ours; the settings of the README of qhfan/FlashPrefillv2. Code: a tile has 128 query
    rows, which are 128 / G tokens with G query heads for a KV head. Here: a tile has 128 tokens
    with all G heads.
Exact: at alpha=0, or when sinks and window reach the prompt's length. Below it, a dropped block
attends as one key, the mean of its keys; errors pass on from layer to layer.
Cost: scores of each query against one mean per block, then the chosen blocks. Layers with a sliding
window stay dense.
Example: forethought "Who signed it?" -f contract.txt -m qwen-coder-1.5b -x flash-prefill
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero, Share
from forethought.contracts.roles import LayerView, SparseOutput
from forethought.methods.sparse_prefill._blocks import BlockRule, attend_blocks
from forethought.methods.sparse_prefill._sparse_prefill import SparsePrefill


@dataclass(frozen=True)
class FlashPrefill(SparsePrefill):
    """Blocks of keys by the scores of a tile's queries against the mean keys of the blocks."""

    alpha: Share = 0.1
    """Threshold: a tile attends to a block whose score is at least this share of the tile's
    highest."""
    block: Count = 128
    """Keys of a block."""
    sinks: CountOrZero = 2
    """First blocks, to which every tile attends."""
    window: Count = 4
    """Blocks up to its own to which a tile always attends."""
    last_rows: CountOrZero = 1024
    """Last queries of the prompt, times the heads of a KV head, that attend to all blocks."""
    dense_layers: CountOrZero = 4
    """First layers, which stay dense."""
    means: bool = True
    """Let a dropped block attend as one key: the mean of its keys, with that of its values."""
    tile: Count = 128
    """Tokens that share a choice of blocks."""

    def pays(self, prompt_length: int) -> bool:
        """Whether a prompt of this length has tiles that do not see all blocks."""
        return self.alpha > 0 and prompt_length > (self.sinks + self.window) * self.block

    def attends_in_chunks(self) -> bool:
        """True: a tile only looks back."""
        return True

    def on_attention(self, view: LayerView) -> SparseOutput | None:
        """Attention of each tile over its blocks; None for dense attention."""
        dense = view.layer < self.dense_layers or view.shape.window is not None
        if dense or not self.pays(view.keys.shape[1]):
            return None
        return attend_blocks(view, self._rule(view))

    def _rule(self, view: LayerView) -> BlockRule:
        last = -(-self.last_rows * view.shape.kv_heads // view.shape.heads)  # tokens
        return BlockRule(
            tile=self.tile,
            block=self.block,
            alpha=self.alpha,
            sinks=self.sinks,
            window=self.window,
            dense_from=(view.prompt_length - last) // self.tile * self.tile if last else 1 << 62,
            corrects=self.means,
        )
