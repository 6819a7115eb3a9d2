"""Model folders as hubs publish them: config.json, safetensors and a tokenizer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from tokenizers import Tokenizer
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.json_file import read_json, read_optional
from forethought.models.checkpoint.scaled_weights import (
    SCALED_DTYPES,
    USE_ANOTHER,
    ScaledWeight,
    scaled_weights,
    unscaled,
)
from forethought.models.checkpoint.tensor_folder import StoredTensor, read_stored
from forethought.models.checkpoint.weight_formats import (
    MODELOPT_STATEMENT,
    PLAIN_DTYPES,
    USUAL_BLOCK,
    is_of_activations,
    refuse_foreign,
    stated_blocks,
)
from forethought.models.checkpoint.weight_index import stored_tensors
from forethought.models.decoder.quantise import Levels
from forethought.models.sources.folder_text import ends_of, template_of, tokenizer_of


class FolderCheckpoint:
    """A folder of safetensors; FP8 and int8 weights with scales become bf16.

    Raises DamagedFileError for missing or unreadable files, and UnsupportedModelError for
    unsupported weight formats.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_json(folder / "config.json")
        blocks = stated_blocks(self.config, read_optional(folder / MODELOPT_STATEMENT))
        found = stored_tensors(folder)
        refuse_foreign(found, folder)
        self._stored = {n: one for n, one in found.items() if not is_of_activations(n)}
        self._scaled = scaled_weights(self._stored, [USUAL_BLOCK] if blocks is None else blocks)
        self.quantised = blocks is not None or bool(self._scaled)
        """Whether weights are quantised, by the folder's settings or by their dtypes."""
        beside = {name for one in self._scaled.values() for name in one.companions}
        self.names: Collection[str] = self._stored.keys() - beside
        settings = read_optional(folder / "tokenizer_config.json")
        self.template = template_of(folder, settings)
        self._tokenizer = tokenizer_of(folder)
        self.ends = ends_of(folder, self._tokenizer, self.config, settings)
        self.notes = tuple(self._notes(blocks is not None, len(found) > len(self._stored)))

    def tokenizer(self) -> Tokenizer:
        """The folder's tokenizer.json, or older tokenizer files converted by transformers."""
        return self._tokenizer

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, from the file's header."""
        return self._found(name).shape

    def tensor(self, name: str) -> Tensor:
        """A tensor as stored, or bf16 if it is quantised."""
        if scaled := self._scaled.get(name):
            return self._unscaled(scaled)
        stored = self._found(name)
        if stored.dtype not in PLAIN_DTYPES:
            raise UnsupportedModelError(f"{name} holds {stored.dtype} values", USE_ANOTHER)
        return read_stored(name, stored)

    def levels(self, name: str) -> Levels | None:
        """None: folders hold no 4-bit levels."""
        return None

    def _found(self, name: str) -> StoredTensor:
        if name not in self._stored:
            raise DamagedFileError(
                f"{self.folder} lacks the tensor {name}", "check that all its files are there"
            )
        return self._stored[name]

    def _unscaled(self, scaled: ScaledWeight) -> Tensor:
        weight, scale = (read_stored(n, self._found(n)) for n in (scaled.name, scaled.scale))
        zero = scaled.zero_point
        zero_point = read_stored(zero, self._found(zero)) if zero else None
        with DamagedFileError.named(scaled.name):
            return unscaled(weight, scale, zero_point, scaled.block)

    def _notes(self, stated: bool, of_activations: bool) -> Iterator[str]:
        kinds = {SCALED_DTYPES[self._stored[name].dtype] for name in self._scaled}
        if kinds:
            yield f"{' and '.join(sorted(kinds))} weights run as bf16, with bf16 activations"
        if kinds and not stated:
            yield "no file states how the weights are quantised; they were multiplied by scales"
        if of_activations:
            yield "stored scales of activations or of the KV cache are not used"
