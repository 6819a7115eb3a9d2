"""Resolves a model's name to its source, which fetches and converts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from forethought.contracts.errors import (
    DamagedFileError,
    UnknownNameError,
    UnsupportedModelError,
    UsageError,
)
from forethought.models.checkpoint.scaled_weights import USE_ANOTHER
from forethought.models.checkpoint.weight_index import weight_files
from forethought.models.decoder.config import DecoderConfig
from forethought.models.gguf.checkpoint import GgufCheckpoint
from forethought.models.sources import hub, model_cache, wheel
from forethought.models.sources.convert import convert, refer
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.sources.model_cache import Progress
from forethought.models.sources.wheel import WHEEL_MODELS, WheelModel


class ModelSource(Protocol):
    """A place that models come from."""

    @property
    def name(self) -> str:
        """The name that the user gave."""
        ...

    @property
    def key(self) -> str:
        """Its key in the model cache."""
        ...

    def stamp(self) -> str:
        """Changes when the conversion is out of date."""
        ...

    def build(self, folder: Path, *, again: bool, progress: Progress | None) -> None:
        """Fetch, check and convert into the empty `folder`."""
        ...


def find(name: str) -> ModelSource:
    """The source of a name, a path or a hub id.

    Raises UnknownNameError, or UsageError for a path without a model.
    """
    if name in WHEEL_MODELS:
        return WheelOrigin(WHEEL_MODELS[name])
    path = Path(name).expanduser()
    if path.is_file():
        return GgufOrigin(name, path)
    if path.is_dir() and (path / "config.json").is_file():
        return FolderOrigin(name, path)
    if path.is_dir() or _looks_like_path(name):
        raise UsageError(
            f"there is no model at {name}",
            "give a .gguf file, or a folder with config.json and safetensors",
        )
    if hub.is_hub_id(name):
        return HubOrigin(name)
    raise UnknownNameError.among("model", name, WHEEL_MODELS)


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "~", os.sep)) or name.endswith(".gguf") or name.count("/") > 1


@dataclass(frozen=True)
class WheelOrigin:
    """A model inside wheels of the package index."""

    model: WheelModel

    @property
    def name(self) -> str:
        """The name that the user gave."""
        return self.model.name

    @property
    def key(self) -> str:
        """Its key in the model cache."""
        return self.model.name

    def stamp(self) -> str:
        """The SHA-256 of its GGUF file."""
        return self.model.sha256

    def build(self, folder: Path, *, again: bool, progress: Progress | None) -> None:
        """Download, join, check and convert the parts, then delete them."""
        if again:
            wheel.forget_parts(self.model)
        original = folder / model_cache.ORIGINAL
        wheel.fetch(self.model, original, progress)
        convert(
            GgufCheckpoint(original),
            folder,
            origin=self.name,
            stamp=self.stamp(),
            gguf=model_cache.ORIGINAL,
            progress=progress,
        )
        wheel.forget_parts(self.model)


@dataclass(frozen=True)
class GgufOrigin:
    """A local GGUF file, used in place."""

    name: str
    path: Path

    @property
    def key(self) -> str:
        """Its key in the model cache."""
        return model_cache.key_for(self.path)

    def stamp(self) -> str:
        """Hash of the file's size and time."""
        return model_cache.stamp_of([self.path])

    def build(self, folder: Path, *, again: bool, progress: Progress | None) -> None:
        """Convert the file."""
        path = self.path.resolve()
        convert(
            GgufCheckpoint(path),
            folder,
            origin=self.name,
            stamp=self.stamp(),
            gguf=str(path),
            progress=progress,
        )


@dataclass(frozen=True)
class FolderOrigin:
    """A local folder of safetensors, used in place."""

    name: str
    path: Path

    @property
    def key(self) -> str:
        """Its key in the model cache."""
        return model_cache.key_for(self.path)

    def stamp(self) -> str:
        """Hash of the files' sizes and times."""
        files = [*weight_files(self.path), *self.path.glob("*.json"), *self.path.glob("*.jinja")]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise DamagedFileError(
                f"{self.path} lacks {', '.join(missing)}", "copy or fetch the folder again"
            )
        return model_cache.stamp_of(files)

    def build(self, folder: Path, *, again: bool, progress: Progress | None) -> None:
        """Convert the folder."""
        _from_folder(self.path, folder, self, progress)


@dataclass(frozen=True)
class HubOrigin:
    """A model on a hub; after its conversion, the hub is not contacted."""

    name: str

    @property
    def key(self) -> str:
        """Its key in the model cache."""
        return self.name.replace("/", "--")

    def stamp(self) -> str:
        """The name: newer versions are fetched on request only."""
        return self.name

    def build(self, folder: Path, *, again: bool, progress: Progress | None) -> None:
        """Download what is missing, and convert."""
        _from_folder(hub.fetch(self.name), folder, self, progress)


def _from_folder(path: Path, folder: Path, origin: ModelSource, progress: Progress | None) -> None:
    """Convert the model in `path`; refer to transformers if the decoder does not support it."""
    checkpoint = FolderCheckpoint(path)
    stamp = origin.stamp()
    try:
        DecoderConfig.from_transformers(checkpoint.config, str(path / "config.json"))
    except UnsupportedModelError as error:
        if checkpoint.quantised:
            raise UnsupportedModelError(
                f"{error.message}, and its weights are quantised", USE_ANOTHER
            ) from error
        refer(checkpoint, folder, path, origin=origin.name, stamp=stamp)
    else:
        convert(checkpoint, folder, origin=origin.name, stamp=stamp, progress=progress)
