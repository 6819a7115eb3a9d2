"""Block-sparse prefill: each query tile attends to the key blocks whose mean key scores highest.

Paper: FlashPrefill V2, arXiv:2608.19758 (2026), the successor of arXiv:2603.06199.
Published: code; qhfan/FlashPrefillv2, the settings of its README.
Exact: at alpha=0, or when sinks and window reach the prompt's length. Below it, a dropped block
attends as one key, the mean of its keys; errors pass on from layer to layer.
Cost: scores of each query against one mean per block, then the chosen blocks. Layers with a sliding
window stay dense.
Example: forethought "Who signed it?" -f contract.txt -m qwen-coder-1.5b -x flash-prefill
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import Count, CountOrZero, Share
from forethought.contracts.roles import LayerView, SparseOutput
from forethought.methods.sparse_prefill._blocks import BlockRule, attend_blocks
from forethought.methods.sparse_prefill._sparse_prefill import SparsePrefill


@dataclass(frozen=True)
class FlashPrefill(SparsePrefill):
    """Blocks of keys by the scores of a tile's queries against the mean keys of the blocks."""

    revision: ClassVar[int] = 2
    """A tile of the first revision had 128 tokens, not 128 rows."""

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
    """Last rows of the prompt whose tiles attend to all blocks."""
    dense_layers: CountOrZero = 4
    """First layers, which stay dense."""
    means: bool = True
    """Let a dropped block attend as one key: the mean of its keys, with that of its values."""
    tile: Count = 128
    """Rows that share a choice of blocks: G rows a token, if G query heads share a KV head."""

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
        rows = view.prompt_length * view.shape.heads // view.shape.kv_heads
        dense = -(-rows // self.tile) - -(-self.last_rows // self.tile)  # the first such tile
        return BlockRule(
            tile=self.tile,
            block=self.block,
            alpha=self.alpha,
            sinks=self.sinks,
            window=self.window,
            dense_from=dense * self.tile,
            corrects=self.means,
        )
