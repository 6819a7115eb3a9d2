"""The file of a trained network: safetensors with its prior, sizes and constants."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from forethought.contracts.errors import BadDataError

_TRAIN = "train one: forethought tune --train-pfn coverage -o FILE.safetensors"
_LARGEST = 4096
"""The largest size of a network that is read."""
NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True)
class StoredNetwork(Generic[NetworkT]):
    """A network with the prior that it was trained on."""

    network: NetworkT
    prior: str
    sizes: Mapping[str, int]
    constants: Mapping[str, Tensor] = field(default_factory=dict)
    """Tensors that are not trained, such as the borders of bars."""
    step: int = 0
    """Steps of a training that is not finished."""
    moments: Mapping[str, Tensor] = field(default_factory=dict)
    """The optimiser's tensors of such a training."""


def write_network(file: Path, stored: StoredNetwork[NetworkT]) -> None:
    """Write the network; the file appears whole or not at all."""
    told = {
        "prior": stored.prior,
        "sizes": json.dumps(dict(stored.sizes)),
        "step": str(stored.step),
    }
    parts = (
        ("network", stored.network.state_dict()),
        ("constant", stored.constants),
        ("moment", stored.moments),
    )
    tensors = {
        f"{part}.{name}": one.detach().contiguous()
        for part, named in parts
        for name, one in named.items()
    }
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    save_file(tensors, fresh, told)
    fresh.replace(file)


def read_network(
    file: Path, prior: str, build: Callable[[Mapping[str, int]], NetworkT]
) -> StoredNetwork[NetworkT]:
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
        sizes = json.loads(told["sizes"])
        if not all(isinstance(size, int) and 0 < size <= _LARGEST for size in sizes.values()):
            raise ValueError("sizes out of range")
        if not all(bool(one.isfinite().all()) for one in tensors.values()):
            raise ValueError("not finite")
        network = build(sizes)
        network.load_state_dict(_under("network.", tensors))
        constants, moments = _under("constant.", tensors), _under("moment.", tensors)
        return StoredNetwork(network, prior, sizes, constants, int(told["step"]), moments)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise BadDataError(f"{file} does not hold the network that it names", _TRAIN) from error


def constant(stored: StoredNetwork[NetworkT], name: str, shape: tuple[int, ...]) -> Tensor:
    """A constant of this shape; BadDataError if the file lacks it."""
    found = stored.constants.get(name)
    if found is None or tuple(found.shape) != shape or found.dtype != torch.float64:
        raise BadDataError(f"the network's file has no {name} of shape {shape}", _TRAIN)
    return found


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)
    }
