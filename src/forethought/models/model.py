"""A loaded model: network, tokenizer and chat template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from forethought.contracts.records import ModelShape
from forethought.contracts.roles import Network
from forethought.models.tokenization.tokenizer import Tokenizer


@dataclass
class Model:
    """A model that is ready to run."""

    name: str
    """The name that it was loaded by."""
    folder: Path
    """The folder of its converted files."""
    network: Network
    tokenizer: Tokenizer
    template: str
    """The chat template; empty for a base model."""
    notes: tuple[str, ...] = ()
    """Facts about its files or weights that every run reports."""

    def for_length(self, tokens: int) -> Model:
        """This model for texts of so many tokens: some RoPE scalings depend on the length."""
        if tokens <= self.shape.context:
            return self
        longer = self.network.for_long_texts()
        return self if longer is self.network else replace(self, network=longer)

    @property
    def shape(self) -> ModelShape:
        """Sizes of the network."""
        return self.network.shape
