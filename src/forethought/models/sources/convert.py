"""Converts a checkpoint into a folder of the model cache.

Fuses projections that share an input, stores weights as bf16, and adds packed 4-bit weights for
this machine's kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from safetensors import safe_open
from torch import Tensor

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.checkpoint.checkpoint import Checkpoint
from forethought.models.checkpoint.promises import checked_sources
from forethought.models.checkpoint.shapes import check_shape
from forethought.models.checkpoint.tensor_file import TensorWriter
from forethought.models.checkpoint.unread import check_all_read
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.names import Source as Parts
from forethought.models.decoder.quantise import (
    GROUP,
    HEAD_BLOCK,
    Levels,
    machine,
    pack_head,
    pack_levels,
    packed_name,
    quantise4,
    stacked,
)
from forethought.models.gguf.checkpoint import GgufCheckpoint
from forethought.models.sources import model_cache
from forethought.models.sources.model_cache import Progress, Source
from forethought.models.tokenization.tokenizer import Tokenizer, check_embedding, fingerprint_of

_DTYPE = torch.bfloat16
_PACKED = (".qkv.weight", ".out.weight", ".gate_up.weight", ".down.weight")
_ROWS_TOGETHER = 16  # the 4-bit kernel's row tile
_HEAD_ROWS = 1 << 14  # rows of the output head packed at once: bounds its float32 copies

Report = Callable[[int, int], None]


def convert(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    origin: str,
    stamp: str,
    gguf: str = "",
    progress: Progress | None = None,
) -> None:
    """Fill the empty `folder` with a converted model.

    Checkpoints from a GGUF file (`gguf` is its path) also get packed 4-bit weights. Raises
    UnsupportedModelError if the decoder does not support the model.
    """
    config = DecoderConfig.from_transformers(checkpoint.config, origin)
    parts = checked_sources(checkpoint, config, origin)
    check_all_read(checkpoint, parts.values())
    check_embedding(checkpoint.tokenizer(), checkpoint.ends.bos, config.vocabulary, origin)
    with model_cache.room_for(folder):
        tensors = _tensors(checkpoint, config, parts, origin)
        report = _reporter(f"converting {origin}", progress)
        _write_tensors(tensors, len(parts), folder, report)
        (folder / model_cache.CONFIG).write_text(config.to_json(), "utf-8")
        _write_words(checkpoint, folder, Source(origin, stamp, gguf=gguf))
        if gguf and _packable(folder):
            _pack(folder, _from_checkpoint(checkpoint, parts), progress)
            replace(Source.read(folder), machine=machine()).write(folder)


def refer(checkpoint: Checkpoint, folder: Path, source: Path, *, origin: str, stamp: str) -> None:
    """Fill the empty `folder` for a model that transformers runs from `source`."""
    with model_cache.room_for(folder):
        _write_words(checkpoint, folder, Source(origin, stamp, reference=str(source.resolve())))


def _write_words(checkpoint: Checkpoint, folder: Path, source: Source) -> None:
    """Write tokenizer, chat template and source record."""
    inner = checkpoint.tokenizer()
    Tokenizer(inner).save(folder / model_cache.TOKENIZER)
    if checkpoint.template:
        (folder / model_cache.TEMPLATE).write_text(checkpoint.template, "utf-8", newline="")
    replace(
        source,
        bos=checkpoint.ends.bos,
        eos=checkpoint.ends.eos,
        add_bos=checkpoint.ends.add_bos,
        template=bool(checkpoint.template),
        notes=checkpoint.notes,
        tokenizer=fingerprint_of(inner),
    ).write(folder)


def _reporter(what: str, progress: Progress | None) -> Report:
    return lambda done, total: None if progress is None else progress(what, done, total)


def _tensors(
    checkpoint: Checkpoint, config: DecoderConfig, parts: dict[str, Parts], origin: str
) -> Iterator[tuple[str, Tensor]]:
    """All tensors by canonical name, with their shapes checked against the configuration."""
    for name, source in parts.items():
        tensor = _fused(checkpoint, source)
        check_shape(config, name, tuple(tensor.shape), origin)
        yield name, tensor


def _write_tensors(
    tensors: Iterator[tuple[str, Tensor]], count: int, folder: Path, report: Report
) -> None:
    with TensorWriter(folder / model_cache.WEIGHTS, count) as file:
        for done, (name, tensor) in enumerate(tensors):
            report(done, count)
            file.add(name, tensor)
    report(count, count)


def _fused(checkpoint: Checkpoint, source: Parts) -> Tensor:
    if isinstance(source[0], str):
        rows = [checkpoint.tensor(name).to(_DTYPE) for name in source]
        return rows[0] if len(rows) == 1 else torch.cat(rows)
    return torch.stack([_fused(checkpoint, names) for names in cast(tuple[Parts, ...], source)])


Matrices = Iterator[tuple[str, Levels | Tensor]]
"""Names of linear layers with their 4-bit levels, then the output head in full precision."""


def add_decode_weights(folder: Path, progress: Progress | None = None) -> None:
    """Add packed 4-bit weights for this machine to a converted model, if missing.

    Levels come from the original GGUF file if there is one; otherwise the weights are quantised.
    Raises UnsupportedModelError for unsuitable shapes, and CacheError for failed writes.
    """
    if (folder / packed_name()).exists():
        return
    source = Source.read(folder)
    if not _packable(folder):
        raise UnsupportedModelError(
            f"{source.origin} has matrices of shapes that the 4-bit kernel does not support",
            "run it with --weights bf16 or int8",
        )
    with model_cache.room_for(folder):
        original = folder / source.gguf
        if source.gguf and original.is_file():
            checkpoint = GgufCheckpoint(original)
            config = DecoderConfig.from_transformers(checkpoint.config, str(original))
            matrices = _from_checkpoint(
                checkpoint, checked_sources(checkpoint, config, str(original))
            )
        elif source.gguf:
            raise UnsupportedModelError(
                f"{source.origin} was packed for another machine, and its GGUF file is missing",
                f"run: forethought pull {source.origin} --again",
            )
        else:
            matrices = _from_folder(folder)
        _pack(folder, matrices, progress)


def _packable(folder: Path) -> bool:
    with safe_open(folder / model_cache.WEIGHTS, "pt") as file:
        shapes = [file.get_slice(n).get_shape() for n in file.keys() if n.endswith(_PACKED)]  # noqa: SIM118
    return all(not rows % _ROWS_TOGETHER and not columns % GROUP for rows, columns in shapes)


def _from_checkpoint(checkpoint: Checkpoint, parts: dict[str, Parts]) -> Matrices:
    for name, source in parts.items():
        if name.endswith(_PACKED):
            yield (
                name.removesuffix(".weight"),
                Levels.concat(
                    [_levels(checkpoint, part) for part in cast(tuple[str, ...], source)]
                ),
            )
    head = parts.get("head.weight", parts["embed.weight"])
    yield "head", _fused(checkpoint, head)


def _levels(checkpoint: Checkpoint, name: str) -> Levels:
    found = checkpoint.levels(name)
    return quantise4(checkpoint.tensor(name)) if found is None else found


def _from_folder(folder: Path) -> Matrices:
    with safe_open(folder / model_cache.WEIGHTS, "pt") as file:
        names = list(file.keys())
        for name in names:
            if name.endswith(_PACKED):
                yield name.removesuffix(".weight"), quantise4(file.get_tensor(name))
        head = "head.weight" if "head.weight" in names else "embed.weight"
        yield "head", file.get_tensor(head)


def _pack(folder: Path, matrices: Matrices, progress: Progress | None) -> None:
    source = Source.read(folder)
    config = DecoderConfig.from_json((folder / model_cache.CONFIG).read_text("utf-8"))
    most = 4 * config.layers + 1
    report = _reporter(f"packing {source.origin}", progress)
    fresh = folder / f".{packed_name()}"
    try:
        with TensorWriter(fresh, 4 * most) as file:
            for done, (name, matrix) in enumerate(matrices):
                report(done, most)
                for suffix, tensor in _packed(matrix).items():
                    file.add(f"{name}.{suffix}", tensor)
        report(most, most)
        fresh.replace(folder / packed_name())
    finally:
        fresh.unlink(missing_ok=True)


def _packed(matrix: Levels | Tensor) -> dict[str, Tensor]:
    if isinstance(matrix, Levels):
        return pack_levels(matrix)
    blocks = torch.split(matrix, _HEAD_ROWS) if not len(matrix) % HEAD_BLOCK else (matrix,)
    return stacked([pack_head(rows.float()) for rows in blocks])
