"""What a configuration promises, against the tensors that a file holds: before any is read."""

from __future__ import annotations

from typing import cast

from forethought.contracts.errors import DamagedFileError
from forethought.models.checkpoint.checkpoint import Checkpoint
from forethought.models.checkpoint.shapes import Shape, check_shape
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.names import Source, sources


def promised(checkpoint: Checkpoint, config: DecoderConfig, where: str) -> dict[str, Source]:
    """The sources of every canonical tensor, all of them there and in the right shapes.

    Only names and shapes are compared, so that a configuration which promises more than the
    file holds costs nothing. Raises DamagedFileError, which names the tensor.
    """
    _check_counts(checkpoint, config, where)
    parts = sources(config, checkpoint.names)
    for name, source in parts.items():
        check_shape(config, name, _shape(checkpoint, source, where), where)
    return parts


def _check_counts(checkpoint: Checkpoint, config: DecoderConfig, where: str) -> None:
    """Refuse more layers and experts than tensors: their names alone would fill memory."""
    held = len(checkpoint.names)
    stacked = any(name.endswith(".experts.gate_up_proj") for name in checkpoint.names)
    experts = 0 if stacked else config.experts * len(config.expert_layers)
    if config.layers + experts > held:
        raise DamagedFileError(
            f"{where} holds {held:,} tensors, too few for {config.layers:,} layers"
            + (f" with {config.experts:,} experts" if experts else ""),
            "fetch the model again: its configuration belongs to another one",
        )


def _shape(checkpoint: Checkpoint, source: Source, where: str) -> Shape:
    """The shape of the tensors of a source, joined along rows, experts stacked."""
    if isinstance(source[0], str):
        shapes = [checkpoint.shape_of(name) for name in source]
        if all(len(shape) and shape[1:] == shapes[0][1:] for shape in shapes):
            return (sum(shape[0] for shape in shapes), *shapes[0][1:])
    else:
        shapes = [_shape(checkpoint, names, where) for names in cast(tuple[Source, ...], source)]
        if len(set(shapes)) == 1:
            return (len(shapes), *shapes[0])
    raise DamagedFileError(
        f"{where}: tensors that belong together have the shapes "
        f"{', '.join(str(list(shape)) for shape in shapes[:4])}",
        "fetch the model again",
    )
