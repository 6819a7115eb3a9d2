"""The parts of sparse prefill methods that need no draft: the model that they apply to."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from forethought.contracts.roles import Approximation


@dataclass(frozen=True)
class SparsePrefill(Approximation):
    """A sparse prefill of the target, of the draft that other methods run, or of both."""

    _: KW_ONLY
    applies_to: Literal["target", "draft", "both"] = "target"
    """The model whose prefill is sparse; `draft` is the draft of the recipe's other methods."""

    def uncounted(self) -> str:
        """The keys that are skipped."""
        return "attention of a sparse prefill depends on the prompt: it is counted as dense"

    def thins_attention(self) -> bool:
        """Whether `on_attention` computes the target's prefill attention."""
        return self.applies_to != "draft"

    def thins_draft(self) -> bool:
        """Whether `on_attention` computes the draft's prefill attention."""
        return self.applies_to != "target"
