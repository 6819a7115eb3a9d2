"""Reads headers and tensors of safetensors files."""

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
    """A tensor's file, dtype and shape, from the file's header."""

    file: Path
    dtype: str
    """The dtype as safetensors spells it, such as BF16 or F8_E4M3."""
    shape: tuple[int, ...]


def headers(path: Path) -> Iterator[tuple[str, StoredTensor]]:
    """Names and headers of a file's tensors; DamagedFileError if it is unreadable."""
    if not path.is_file():
        raise DamagedFileError(f"{path} is missing, or not a file", FETCH_AGAIN)
    try:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                header = file.get_slice(name)
                yield name, StoredTensor(path, header.get_dtype(), tuple(header.get_shape()))
    except (OSError, SafetensorError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}", FETCH_AGAIN) from error


def read_stored(name: str, stored: StoredTensor) -> Tensor:
    """The tensor in its stored dtype; DamagedFileError if the file is unreadable."""
    try:
        with safe_open(stored.file, "pt") as file:
            found: Tensor = file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise DamagedFileError(
            f"{name} in {stored.file} cannot be read: {error}", FETCH_AGAIN
        ) from error
    return found
