"""A GGUF file as a checkpoint: config, tensors, tokenizer and chat template."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from forethought.contracts.errors import DamagedFileError
from forethought.models.checkpoint.checkpoint import Ends
from forethought.models.decoder.quantise import Levels
from forethought.models.gguf.config import config_of
from forethought.models.gguf.file import GgufFile
from forethought.models.gguf.levels import levels_of
from forethought.models.gguf.names import Stored, stored_tensors
from forethought.models.gguf.tokenizer import (
    ENDING_TEXTS,
    ENDS,
    TokenKind,
    Vocabulary,
    tokenizer_from,
)

_LONGEST_TEMPLATE = 1 << 20


class GgufCheckpoint:
    """A GGUF file under the tensor names of transformers.

    Raises DamagedFileError for a truncated or malformed file, and UnsupportedModelError for an
    unknown architecture, storage type or tokenizer.
    """

    def __init__(self, path: Path) -> None:
        self._file = GgufFile.open(path)
        self.config = config_of(self._file)
        self._stored = stored_tensors(self._file, self.config)
        self.names: Collection[str] = self._stored.keys()
        self._vocabulary = Vocabulary.read(self._file.metadata, str(path))
        self.ends = _ends(self._vocabulary)
        self.template = self._vocabulary.claims.text("chat_template", "", longest=_LONGEST_TEMPLATE)
        self.notes: tuple[str, ...] = self._vocabulary.guesses()

    def tokenizer(self) -> Tokenizer:
        """The tokenizer stored in the file."""
        return self._tokenizer

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return tokenizer_from(self._vocabulary)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, from the file's header."""
        return self._found(name).tensor.shape

    def tensor(self, name: str) -> Tensor:
        """float32 values, with the export's changes undone."""
        stored = self._found(name)
        found = levels_of(stored.tensor)
        values = stored.tensor.dense() if found is None else found.dense()
        if stored.interleaved_heads:
            values = values[_order(len(values), stored.interleaved_heads)]
        return values - stored.added if stored.added else values

    def levels(self, name: str) -> Levels | None:
        """The 4-bit levels of a matrix stored as Q4_0, Q4_1 or Q4_K; otherwise None."""
        stored = self._found(name)
        found = levels_of(stored.tensor)
        if found is not None and stored.interleaved_heads:
            return found.rows(_order(len(found.levels), stored.interleaved_heads))
        return found

    def _found(self, name: str) -> Stored:
        if name not in self._stored:
            raise DamagedFileError(
                f"{self._file.path} lacks the tensor for {name}", "fetch the file again"
            )
        return self._stored[name]


def _order(rows: int, heads: int) -> Tensor:
    """Stored row index of each row of a rotary projection.

    The file interleaves the two rotary halves of a head; transformers stores one after the other.
    """
    return torch.arange(rows).view(heads, -1, 2).transpose(1, 2).flatten()


def _ends(vocabulary: Vocabulary) -> Ends:
    named = [vocabulary.token(name) for name in ENDS]
    usual = [i for i, text in vocabulary.of(TokenKind.CONTROL) if text in ENDING_TEXTS]
    return Ends(
        bos=vocabulary.token("bos"),
        eos=tuple(dict.fromkeys(token for token in [*named, *usual] if token is not None)),
        add_bos=vocabulary.claims.flag("ggml.add_bos_token", vocabulary.kind == "llama"),
    )
