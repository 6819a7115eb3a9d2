"""A model, ready to run: its network, its tokenizer and its chat template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from forethought.contracts.records import ModelShape
from forethought.contracts.roles import Network
from forethought.models.tokenization.tokenizer import Tokenizer


@dataclass
class Model:
    """Next-token distributions, and the words to ask for them."""

    name: str
    """What it was loaded by."""
    folder: Path
    """Where its converted files are."""
    network: Network
    tokenizer: Tokenizer
    template: str
    """Its chat template; empty for a base model."""
    notes: tuple[str, ...] = ()
    """Facts about its files or weights that every run reports."""

    def for_length(self, tokens: int) -> Model:
        """This model as it reads texts of so many tokens: some rotate long ones otherwise."""
        if tokens <= self.shape.context:
            return self
        longer = self.network.for_long_texts()
        return self if longer is self.network else replace(self, network=longer)

    @property
    def shape(self) -> ModelShape:
        """Sizes of the network."""
        return self.network.shape
