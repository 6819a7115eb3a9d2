"""What every kind of model file offers to the conversion: one small protocol."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from tokenizers import Tokenizer
from torch import Tensor

from forethought.models.decoder.quantise import Levels


@dataclass(frozen=True)
class Ends:
    """Where texts begin and answers end."""

    bos: int | None
    eos: tuple[int, ...]
    add_bos: bool
    """Whether a text without a chat template starts with `bos`."""


class Checkpoint(Protocol):
    """A published model, under the names that transformers uses."""

    config: dict[str, Any]
    """As its `config.json` would state it."""
    names: Collection[str]
    """Of all its tensors."""
    ends: Ends
    template: str
    """The chat template; empty where there is none."""
    notes: tuple[str, ...]
    """Facts about this file that every run of the model reports, such as a guessed setting."""

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, ready to be saved."""
        ...

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, as the file's header states it."""
        ...

    def tensor(self, name: str) -> Tensor:
        """A tensor as stored, or decoded to float32."""
        ...

    def levels(self, name: str) -> Levels | None:
        """The 4-bit levels of a matrix that is stored as such, else None."""
        ...
