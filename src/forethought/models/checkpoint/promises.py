"""Compares a configuration with the tensors of a file before any tensor is read."""

from __future__ import annotations

from typing import cast

from forethought.contracts.errors import DamagedFileError
from forethought.models.checkpoint.checkpoint import Checkpoint
from forethought.models.checkpoint.shapes import Shape, check_shape
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.names import Source, sources


def checked_sources(checkpoint: Checkpoint, config: DecoderConfig, where: str) -> dict[str, Source]:
    """The source tensors of every canonical tensor, with names and shapes checked.

    Reads no tensor data, so an exaggerating configuration costs nothing. Raises DamagedFileError,
    which names the tensor.
    """
    _check_counts(checkpoint, config, where)
    parts = sources(config, checkpoint.names)
    for name, source in parts.items():
        check_shape(config, name, _shape(checkpoint, source, where), where)
    return parts


def _check_counts(checkpoint: Checkpoint, config: DecoderConfig, where: str) -> None:
    """Raise DamagedFileError for more layers and experts than tensors.

    The names of that many layers could fill the memory.
    """
    held = len(checkpoint.names)
    stacked = any(name.endswith(".experts.gate_up_proj") for name in checkpoint.names)
    experts = 0 if stacked else config.experts * len(config.expert_layers)
    if config.layers + experts > held:
        raise DamagedFileError(
            f"{where} holds {held:,} tensors, too few for {config.layers:,} layers"
            + (f" with {config.experts:,} experts" if experts else ""),
            "fetch the model again: its configuration belongs to another model",
        )


def _shape(checkpoint: Checkpoint, source: Source, where: str) -> Shape:
    """The shape of a source's tensors, concatenated along rows, with experts stacked."""
    if isinstance(source[0], str):
        shapes = [checkpoint.shape_of(name) for name in source]
        if all(len(shape) and shape[1:] == shapes[0][1:] for shape in shapes):
            return (sum(shape[0] for shape in shapes), *shapes[0][1:])
    else:
        shapes = [_shape(checkpoint, names, where) for names in cast(tuple[Source, ...], source)]
        if len(set(shapes)) == 1:
            return (len(shapes), *shapes[0])
    raise DamagedFileError(
        f"{where}: tensors to be joined have the shapes "
        f"{', '.join(str(list(shape)) for shape in shapes[:4])}",
        "fetch the model again",
    )
