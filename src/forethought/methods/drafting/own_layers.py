"""Draft with the model's own first layers and its head; one pass of all layers verifies.

Paper: LayerSkip, arXiv:2404.16710
Published: ours (own name); Paper: a model trained to exit early, whose first layers share the KV
    cache. Here: any model, and its first layers have a cache of their own.
Exact: at every setting; the target verifies each drafted token, so no answer changes.
Cost: the first layers' prefill of the prompt, and their decode steps; each decode pass has further
    rows, as long as both pay. Models that were not trained for it accept few tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.drafts import DraftSource, TokenDrafter
from forethought.contracts.parameters import Count, DraftLength, Share
from forethought.contracts.roles import Approximation, Drafter
from forethought.methods.drafting._writing import Written


@dataclass(frozen=True)
class OwnLayers(Drafter):
    """The target's first layers write drafts."""

    layers: Count = 8
    """First layers that draft."""
    tokens: DraftLength = 4
    """Most tokens of a draft."""
    chance: Share = 0.4
    """A draft ends after a token whose probability is lower."""

    def drafts_with_itself(self) -> bool:
        """True."""
        return True

    def writer_layers(self, layers: int) -> int:
        """See the base class."""
        return min(self.layers, layers)

    def draft_lacks(
        self, draft: str, applied: Sequence[Approximation], *, layers: int, predicted: bool
    ) -> str:
        """So many layers."""
        return "" if self.layers <= layers else f"the model has only {layers} layers"

    def drafter(self, source: DraftSource) -> TokenDrafter:
        """The first layers behind one sequence."""
        return Written(source.writer(self.layers), self.tokens, self.chance)
