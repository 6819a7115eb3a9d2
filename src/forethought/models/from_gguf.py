"""GGUF files as checkpoints: everything a model needs, out of one file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from forethought.contracts.errors import DamagedFileError
from forethought.models.checkpoint import Ends
from forethought.models.gguf_file import GgufFile
from forethought.models.gguf_levels import levels_of
from forethought.models.gguf_names import Stored, config_of, stored_tensors
from forethought.models.gguf_tokenizer import TokenKind, build_tokenizer
from forethought.models.quantise import Levels

_ENDING_TEXTS = (
    *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<|end|>"),
    *("<end_of_turn>", "<|eom_id|>", "</s>", "<eos>"),
)
"""Control tokens by which models end an answer, whether or not the file says so."""


class GgufCheckpoint:
    """A GGUF file under the names that transformers uses.

    Raises DamagedFileError for a truncated or malformed file, UnsupportedModelError for an
    architecture, storage type or tokenizer we would not run correctly.
    """

    def __init__(self, path: Path) -> None:
        self._file = GgufFile.open(path)
        self.config = config_of(self._file)
        self._stored = stored_tensors(self._file, self.config)
        self.names: Collection[str] = self._stored.keys()
        self.ends = _ends(self._file)
        self.template = str(self._file.metadata.get("tokenizer.chat_template", ""))

        self.notes: tuple[str, ...] = ()

    def tokenizer(self) -> Tokenizer:
        """The tokenizer inside the file."""
        return build_tokenizer(self._file.metadata)

    def tensor(self, name: str) -> Tensor:
        """float32 values, as they were before the export."""
        stored = self._found(name)
        found = levels_of(stored.tensor)
        values = stored.tensor.dense() if found is None else found.dense()
        if stored.interleaved_heads:
            values = values[_order(len(values), stored.interleaved_heads)]
        return values - stored.added if stored.added else values

    def levels(self, name: str) -> Levels | None:
        """The 4-bit levels of a matrix stored as Q4_0, Q4_1 or Q4_K; None for any other."""
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
    """Which stored row each row of a rotary projection is.

    Stored, the two halves that turn together alternate; published, one follows the other.
    """
    return torch.arange(rows).view(heads, -1, 2).transpose(1, 2).flatten()


def _ends(file: GgufFile) -> Ends:
    facts = file.metadata
    named = [facts.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    texts = facts.get("tokenizer.ggml.tokens", [])
    kinds = facts.get("tokenizer.ggml.token_type", [])
    control = (i for i, kind in enumerate(kinds) if kind == TokenKind.CONTROL)
    usual = [i for i in control if texts[i] in _ENDING_TEXTS]
    eos = dict.fromkeys(int(token) for token in [*named, *usual] if token is not None)
    bos = facts.get("tokenizer.ggml.bos_token_id")
    pieces = facts.get("tokenizer.ggml.model") == "llama"
    adds = facts.get("tokenizer.ggml.add_bos_token")
    return Ends(
        bos=None if bos is None else int(bos),
        eos=tuple(eos),
        add_bos=pieces if adds is None else bool(adds),
    )
