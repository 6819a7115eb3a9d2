"""The protocol of model files that can be converted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from tokenizers import Tokenizer
from torch import Tensor

from forethought.models.decoder.quantise import Levels


@dataclass(frozen=True)
class Ends:
    """Tokens that begin texts and end answers."""

    bos: int | None
    eos: tuple[int, ...]
    add_bos: bool
    """Whether a text without a chat template starts with `bos`."""


class Checkpoint(Protocol):
    """A published model under the tensor names of transformers."""

    config: dict[str, Any]
    """The content of its `config.json`."""
    names: Collection[str]
    """Names of all tensors."""
    ends: Ends
    template: str
    """The chat template; empty if there is none."""
    notes: tuple[str, ...]
    """Facts about the files that every run reports, such as a guessed setting."""

    def tokenizer(self) -> Tokenizer:
        """The tokenizer."""
        ...

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, from the file's header."""
        ...

    def tensor(self, name: str) -> Tensor:
        """A tensor as stored, or decoded to float32."""
        ...

    def levels(self, name: str) -> Levels | None:
        """The 4-bit levels of a matrix stored in 4 bit; otherwise None."""
        ...
