"""Drop prompt tokens by the attention of a draft's first layers alone.

Paper: SpecPC, arXiv:2506.08373 (ICLR 2026)
Published: ours (own name); Paper: the whole draft runs, and the kernel is fixed. Here: the draft
    stops at about half of its layers, or at a quarter of the target's if the target drafts for
    itself, and the kernel grows with keep.
Exact: when keep reaches the prompt's length; below it, the answer cannot see dropped tokens.
Cost: the draft prefills the prompt up to its last used layer; the target prefills keep tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._draft_attention import DraftAttention


@dataclass(frozen=True)
class SpecPCShallow(DraftAttention):
    """Scores by a few early layers, and pools over a kernel that fits the budget."""

    kernel: Count | None = None
    """Width of the pooling over scores, in tokens; 16 to 64 by default, growing with keep."""
    first_layer: CountOrZero | None = None
    """First draft layer whose attention counts; chosen to fit the draft by default."""
    last_layer: Count | None = None
    """Draft layers that run; chosen to fit the draft by default."""

    def kernel_for(self, room: int) -> int:
        """The stated kernel, or the widest up to 64 with room for four peaks of twice its width."""
        return self.kernel or min(64, max(16, room // 8))

    def layers_of(self, draft: Draft) -> range:
        """The stated layers, or those that fit the draft."""
        first, last = draft.layer_span
        first = first if self.first_layer is None else self.first_layer
        return range(first, last if self.last_layer is None else self.last_layer)
