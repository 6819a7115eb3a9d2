"""The configuration of a model by name, from the nearest source and without its weights."""

from __future__ import annotations

from pathlib import Path

from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.models.checkpoint.json_file import parse_object, read_text
from forethought.models.decoder.config import DecoderConfig
from forethought.models.known_configs import known_config, known_names


def config_of(name: str) -> DecoderConfig:
    """The configuration of a known model, a folder, a converted model or a hub id.

    Only a hub id that is nowhere else is fetched, and only its `config.json`. Raises
    UnknownNameError, UsageError, DownloadError, DamagedFileError or UnsupportedModelError.
    """
    found = local_config(name)
    if found is not None:
        return found
    # Imported late: neither the table nor a folder needs it.
    from forethought.models.sources import hub

    if Path(name).expanduser().exists():
        raise UsageError(
            f"the sizes of {name} are not known: no config.json is there, and it was not converted",
            "name a folder with config.json, or let `ask` convert the file first",
        )
    if not hub.is_hub_id(name):
        raise UnknownNameError.among("model", name, known_names())
    return _read(hub.fetch_config(name))


def local_config(name: str) -> DecoderConfig | None:
    """As `config_of`, without a network; None if the sizes are not known here."""
    known = known_config(name)
    if known is not None:
        return DecoderConfig.from_transformers(known, f"the table of known models, {name}")
    file = Path(name).expanduser() / "config.json"
    return _read(file) if file.is_file() else _converted(name)


def _read(file: Path) -> DecoderConfig:
    return DecoderConfig.from_transformers(parse_object(read_text(file), str(file)), str(file))


def _converted(name: str) -> DecoderConfig | None:
    """The configuration of a model in the cache of converted ones, if it is there."""
    from forethought.models.sources import model_cache

    path = Path(name).expanduser()
    key = model_cache.key_for(path) if path.exists() else name.replace("/", "--")
    file = model_cache.place_of(key) / model_cache.CONFIG
    return DecoderConfig.from_json(model_cache.read_text(file)) if file.is_file() else None
