"""Drop the prompt tokens that a draft model attends to least, before the target prefills.

Paper: SpecPC, arXiv:2506.08373 (ICLR 2026)
Published: code; the settings of the authors' Qwen pair. Their Llama pair has a kernel of 32.
Exact: when keep reaches the prompt's length; below it, the answer cannot see dropped tokens.
Cost: the draft prefills the prompt through all its layers; the target prefills keep tokens.
Example: forethought "Who signed it?" -f contract.txt -m qwen-coder-1.5b -d qwen-coder-0.5b
    -x specpc
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._draft_attention import DraftAttention


@dataclass(frozen=True)
class SpecPC(DraftAttention):
    """Scores by layers 8 to the last, and pools over a fixed kernel."""

    revision: ClassVar[int] = 2
    """The first revision stopped the draft early and fitted the kernel, as specpc-shallow does."""

    kernel: Count = 64
    """Width of the pooling over scores, in tokens."""
    first_layer: CountOrZero = 8
    """First draft layer whose attention counts."""
    last_layer: Count | None = None
    """Draft layers that run; all by default."""

    def kernel_for(self, room: int) -> int:
        """The stated kernel."""
        return self.kernel

    def layers_of(self, draft: Draft) -> range:
        """From the first stated layer to the last one of the draft."""
        return range(self.first_layer, self.last_layer or draft.layers)
