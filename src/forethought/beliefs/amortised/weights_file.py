"""The file of a trained network: safetensors with the prior, the sizes and the borders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from forethought.beliefs.amortised.network import NetworkShape, PriorFittedNetwork
from forethought.contracts.errors import BadDataError

Floats = NDArray[np.float64]
_TRAIN = "train one: forethought tune --train-pfn FILE.safetensors"
_LARGEST = 4096
"""The largest size of a network that is read."""


@dataclass(frozen=True)
class StoredNetwork:
    """A network, the borders of its bars and the prior that it was trained on."""

    network: PriorFittedNetwork
    borders: Floats
    prior: str
    extra: Mapping[str, str] = field(default_factory=dict)
    moments: Mapping[str, Tensor] = field(default_factory=dict)
    """The optimiser's tensors of a training that is not finished."""


def write_network(
    file: Path,
    network: StoredNetwork,
    extra: Mapping[str, str],
    moments: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the network; the file appears whole or not at all."""
    told = {
        "prior": network.prior,
        "shape": json.dumps(network.network.shape.told()),
        "extra": json.dumps(dict(extra)),
    }
    tensors = {f"network.{name}": one for name, one in network.network.state_dict().items()}
    tensors |= {f"moment.{name}": one for name, one in (moments or {}).items()}
    tensors["borders"] = torch.from_numpy(network.borders)
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    save_file({name: one.detach().contiguous() for name, one in tensors.items()}, fresh, told)
    fresh.replace(file)


def read_network(file: Path, prior: str) -> StoredNetwork:
    """Read a network of this prior; BadDataError for another prior or a damaged file."""
    try:
        with safe_open(file, "pt") as opened:
            told = dict(opened.metadata() or {})
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BadDataError(f"{file} is no file of a network: {error}", _TRAIN) from error
    if told.get("prior") != prior:
        raise BadDataError(f"{file} was trained on another prior", _TRAIN)
    try:
        return _built(told, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadDataError(f"{file} does not hold the network that it names", _TRAIN) from error


def _built(told: Mapping[str, str], tensors: Mapping[str, Tensor]) -> StoredNetwork:
    shape = NetworkShape(**json.loads(told["shape"]))
    if not all(isinstance(size, int) and 0 < size <= _LARGEST for size in shape.told().values()):
        raise ValueError("sizes out of range")
    if not all(bool(one.isfinite().all()) for one in tensors.values()):
        raise ValueError("not finite")
    network = PriorFittedNetwork(shape)
    network.load_state_dict(_under("network.", tensors))
    borders = tensors["borders"].double().numpy()
    if borders.shape != (shape.bars + 1,) or not (np.diff(borders) > 0).all():
        raise ValueError("borders do not ascend")
    extra = {str(name): str(value) for name, value in json.loads(told["extra"]).items()}
    return StoredNetwork(network, borders, told["prior"], extra, _under("moment.", tensors))


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)
    }
