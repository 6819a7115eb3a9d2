"""Drafts that a model decodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.drafts import DraftTree, DraftWriter, TokenDrafter


@dataclass(frozen=True)
class Written(TokenDrafter):
    """The continuation by a model, as a chain."""

    writer: DraftWriter
    tokens: int
    """Most tokens of a draft."""
    chance: float
    """A draft ends behind a token whose probability is lower."""

    @property
    def decodes(self) -> bool:
        """True."""
        return True

    def draft(self, tokens: Sequence[int], most: int) -> DraftTree:
        """What the model writes."""
        written = self.writer.write(tokens, min(most, self.tokens), self.chance)
        return DraftTree.chain(written)
