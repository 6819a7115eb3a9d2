"""Adapters: folders of low-rank changes (LoRA) to the weights of a base model."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.claims import Claims
from forethought.models.checkpoint.json_file import read_json
from forethought.models.decoder.quantise import Levels
from forethought.models.sources import hub
from forethought.models.sources.folder import FolderCheckpoint

SETTINGS = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_PLAIN: dict[str, object] = {"bias": "none", "use_dora": False, "modules_to_save": None,
                             "rank_pattern": {}, "alpha_pattern": {}}  # fmt: skip
"""Settings that must be absent, or have these values."""


class AdaptedCheckpoint:
    """A base model with an adapter merged into its weights as they are read.

    Raises UnsupportedModelError for other adapters than LoRA, and DamagedFileError for tensors
    that fit no weight of the base model.
    """

    def __init__(self, folder: Path) -> None:
        settings = read_json(folder / SETTINGS)
        _check_kind(settings, folder)
        claims = Claims(settings, str(folder / SETTINGS), "fetch the adapter again")
        rank = claims.count("r", most=1 << 16)
        root = math.sqrt(rank) if settings.get("use_rslora") else rank
        self._scale = claims.number("lora_alpha", above=0) / root
        base = model_folder(claims.text("base_model_name_or_path"))
        self._base = FolderCheckpoint(base)
        self.folder = folder
        self.config: dict[str, Any] = self._base.config
        self.names: Collection[str] = self._base.names
        self.template, self.ends = self._base.template, self._base.ends
        self.notes = self._base.notes
        self._changes = self._pairs(_tensors(folder / _WEIGHTS))

    def tokenizer(self) -> Tokenizer:
        """The base model's tokenizer."""
        return self._base.tokenizer()

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self._base.shape_of(name)

    def tensor(self, name: str) -> Tensor:
        """A tensor of the base model, changed by the adapter."""
        weight = self._base.tensor(name)
        if name not in self._changes:
            return weight
        low, high = self._changes[name]
        change = (high.float() @ low.float()) * self._scale
        return (weight.float() + change).to(weight.dtype)

    def levels(self, name: str) -> Levels | None:
        """None: folders hold no 4-bit levels."""
        return None

    def _pairs(self, tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """By name of the base's weight, the matrices [r, in] and [out, r]."""
        found = {}
        for name in (one for one in tensors if one.endswith(".lora_A.weight")):
            module = name.removesuffix(".lora_A.weight")
            pair = tensors[name], tensors.get(f"{module}.lora_B.weight", torch.empty(0, 0))
            weight = self._weight_of(module.removeprefix(_PREFIX))
            if weight is None or (pair[1].shape[0], pair[0].shape[1]) != self.shape_of(weight):
                raise DamagedFileError(
                    f"{self.folder}: {module} fits no weight of the base model",
                    "fetch the adapter again, with the base model that it names",
                )
            found[weight] = pair
        if 2 * len(found) != len(tensors):
            raise UnsupportedModelError(
                f"{self.folder} holds tensors besides the matrices of LoRA",
                "merge the adapter into the base model, and name the merged folder",
            )
        return found

    def _weight_of(self, module: str) -> str | None:
        """An adapter of the body alone lacks the prefix `model.`."""
        tried = (f"{module}.weight", f"model.{module}.weight")
        return next((name for name in tried if name in self.names), None)


def open_checkpoint(folder: Path) -> FolderCheckpoint | AdaptedCheckpoint:
    """The model in a folder, or the adapter there on its base model."""
    if (folder / SETTINGS).is_file() and not (folder / "config.json").is_file():
        return AdaptedCheckpoint(folder)
    return FolderCheckpoint(folder)


def model_folder(name: str) -> Path:
    """The folder of a model or adapter: a path, or owner/name on the hub.

    Raises DownloadError, or UnsupportedModelError for any other name.
    """
    path = Path(name).expanduser()
    if any((path / file).is_file() for file in (SETTINGS, "config.json")):
        return path
    if hub.is_hub_id(name):
        return hub.fetch(name)
    raise UnsupportedModelError(
        f"{name!r} is neither a folder with a config.json or an {SETTINGS}, nor owner/name",
        "fetch the model, and name its folder",
    )


def _check_kind(settings: Mapping[str, Any], folder: Path) -> None:
    kind = settings.get("peft_type")
    odd = [name for name, plain in _PLAIN.items() if settings.get(name) not in (None, plain)]
    if kind != "LORA" or odd:
        raise UnsupportedModelError(
            f"{folder} holds an adapter of type {kind}"
            + (f" with {', '.join(odd)}" if odd else ""),
            "merge the adapter into the base model, and name the merged folder",
        )


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise DamagedFileError(f"{file} cannot be read: {error}", "fetch it again") from error
