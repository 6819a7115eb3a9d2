"""The tensors in the safetensors files of a model folder, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from forethought.contracts.errors import DamagedFileError

FETCH_AGAIN = "fetch the model again"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor's place, and what its file's header says of it."""

    file: Path
    dtype: str
    """As safetensors spells it, such as BF16 or F8_E4M3."""
    shape: tuple[int, ...]


def headers(path: Path) -> Iterator[tuple[str, StoredTensor]]:
    """Every tensor of a file; DamagedFileError where it cannot be read."""
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing, or no file", FETCH_AGAIN)
    try:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                header = file.get_slice(name)
                yield name, StoredTensor(path, header.get_dtype(), tuple(header.get_shape()))
    except (OSError, SafetensorError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}", FETCH_AGAIN) from error


def read_stored(name: str, stored: StoredTensor) -> Tensor:
    """The tensor, in its stored dtype; DamagedFileError where the file cannot be read."""
    try:
        with safe_open(stored.file, "pt") as file:
            found: Tensor = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise DamagedFileError(
            f"{name} in {stored.file} cannot be read: {error}", FETCH_AGAIN
        ) from error
    return found
