"""Folders as model hubs publish them: config.json, safetensors and a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint import Ends
from forethought.models.quantise import Levels
from forethought.models.scaled_weights import (
    SCALED_DTYPES,
    USE_ANOTHER,
    ScaledWeight,
    scaled_weights,
    unscaled,
)
from forethought.models.tensor_folder import StoredTensor, read_stored, stored_tensors
from forethought.models.tokenizer import read_inner
from forethought.models.weight_formats import (
    MODELOPT_STATEMENT,
    PLAIN_DTYPES,
    USUAL_BLOCK,
    is_of_activations,
    refuse_foreign,
    stated_blocks,
)


class FolderCheckpoint:
    """A folder of safetensors; FP8 and int8 weights with scales become bf16.

    Raises DamagedFileError where a file is missing or unreadable, UnsupportedModelError
    where weights are stored in a way we cannot read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_json(folder / "config.json")
        blocks = stated_blocks(self.config, read_optional(folder / MODELOPT_STATEMENT))
        found = stored_tensors(weight_files(folder))
        refuse_foreign(found, folder)
        self._stored = {n: one for n, one in found.items() if not is_of_activations(n)}
        self._scaled = scaled_weights(self._stored, [USUAL_BLOCK] if blocks is None else blocks)
        self.quantised = blocks is not None or bool(self._scaled)
        """Whether the folder states quantised weights, or holds some."""
        beside = {name for one in self._scaled.values() for name in one.companions}
        self.names: Collection[str] = self._stored.keys() - beside
        settings = read_optional(folder / "tokenizer_config.json")
        self.template = template_of(folder, settings)
        self.ends = ends_of(folder, self.config, settings)
        self.notes = tuple(self._notes(blocks is not None, len(found) > len(self._stored)))

    def tokenizer(self) -> Tokenizer:
        """The folder's tokenizer.json, or what transformers makes of its older files."""
        return tokenizer_of(self.folder)

    def tensor(self, name: str) -> Tensor:
        """A tensor as stored, or bf16 where it is quantised."""
        if scaled := self._scaled.get(name):
            return self._unscaled(scaled)
        stored = self._found(name)
        if stored.dtype not in PLAIN_DTYPES:
            raise UnsupportedModelError(f"{name} holds {stored.dtype} values", USE_ANOTHER)
        return read_stored(name, stored)

    def levels(self, name: str) -> Levels | None:
        """None: nothing here is stored in 4 bit."""
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


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder.

    Raises UnsupportedModelError where there are only other kinds.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = read_json(index).get("weight_map", {}).values()
        return [folder / name for name in dict.fromkeys(names)]
    single = folder / "model.safetensors"
    files = [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    if not files:
        raise UnsupportedModelError(
            f"{folder} holds no safetensors", "only safetensors and GGUF weights are read"
        )
    return files


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; DamagedFileError where there is none."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}", "fetch it again") from error
    if not isinstance(values, dict):
        raise DamagedFileError(f"{path} holds no JSON object", "fetch it again")
    return values


def read_optional(path: Path) -> dict[str, Any]:
    """As `read_json`, and nothing for a file that is not there."""
    return read_json(path) if path.is_file() else {}


def template_of(folder: Path, settings: dict[str, Any]) -> str:
    """The chat template, from its own file or from the tokenizer's settings."""
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        try:
            return alone.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{alone} cannot be read: {error}", "fetch it again") from error
    stated = settings.get("chat_template") or ""
    if isinstance(stated, list):
        named = {entry.get("name"): entry.get("template") for entry in stated}
        stated = named.get("default") or ""
    return str(stated)


def ends_of(folder: Path, config: dict[str, Any], settings: dict[str, Any]) -> Ends:
    """Beginning and ending tokens, as the generation settings and the tokenizer state them."""
    inner = tokenizer_of(folder)
    generation = read_optional(folder / "generation_config.json")
    eos = generation.get("eos_token_id", config.get("eos_token_id"))
    listed = list(eos) if isinstance(eos, list) else [eos]
    named = inner.token_to_id(_text(settings.get("eos_token")))
    bos = inner.token_to_id(_text(settings.get("bos_token")))
    stated = settings.get("add_bos_token")
    return Ends(
        bos=config.get("bos_token_id") if bos is None else bos,
        eos=tuple(dict.fromkeys(token for token in [*listed, named] if isinstance(token, int))),
        add_bos=_adds_bos(inner, bos) if stated is None else bool(stated),
    )


def _text(token: Any) -> str:
    """Tokens are stated as text, or as a record that holds it."""
    return str(token["content"] if isinstance(token, dict) else token or "")


def _adds_bos(inner: Tokenizer, bos: int | None) -> bool:
    return bos is not None and bos in inner.encode("a", add_special_tokens=True).ids[:1]


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder; older kinds are converted by transformers."""
    path = folder / "tokenizer.json"
    if path.is_file():
        return read_inner(path)
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UnsupportedModelError(
            f"{folder} holds no tokenizer.json", "pip install 'forethought[hub]' converts it"
        ) from error
    try:
        converted = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        inner: Tokenizer = converted.backend_tokenizer
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UnsupportedModelError(
            f"the tokenizer in {folder} cannot be converted: {error}",
            "use a model that comes with a tokenizer.json",
        ) from error
    return inner
