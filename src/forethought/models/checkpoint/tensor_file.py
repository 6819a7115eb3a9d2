"""Writes safetensors files tensor by tensor, so that models may exceed the memory."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

_NAMES = {
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.float32: "F32",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.int32: "I32",
}
_ROOM_PER_TENSOR = 256  # header bytes: name, shape and two offsets
_LENGTH = 8  # bytes of the header's length field


class TensorWriter:
    """A safetensors file under construction; valid once the `with` block has succeeded."""

    def __init__(self, path: Path, most_tensors: int) -> None:
        self._file = path.open("wb")
        self._entries: dict[str, dict[str, Any]] = {}
        self._room = (most_tensors + 1) * _ROOM_PER_TENSOR - _LENGTH  # keeps the data aligned
        self._data = 0
        self._file.seek(_LENGTH + self._room)

    def __enter__(self) -> TensorWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                self._write_header()

    def add(self, name: str, tensor: Tensor) -> None:
        """Append a tensor under a new name."""
        flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        self._entries[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [self._data, self._data + len(flat)],
        }
        self._file.write(flat.numpy().data)
        self._data += len(flat)

    def _write_header(self) -> None:
        # The header is written last, into reserved space: the format allows trailing blanks.
        header = json.dumps(self._entries).encode()
        if len(header) > self._room:
            raise ValueError("more tensors than announced, or longer names")
        self._file.seek(0)
        self._file.write(self._room.to_bytes(_LENGTH, "little") + header.ljust(self._room))
