"""Reads GGUF files: all metadata on opening, each tensor on demand.

A file holds a header, key-value pairs, tensor records and aligned tensor data. Every length is
checked against the file's size before use.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.claims import Claims, shortened

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
_MAGIC = b"GGUF"
_AGAIN = "fetch the file again"
_STRING, _ARRAY = 8, 9
_NUMBERS = {
    **{0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "<u1"},
    **{10: "<u8", 11: "<i8", 12: "<f8"},
}
_MOST_DIMENSIONS = 4
_LEAST_PAIR, _LEAST_RECORD = 13, 32  # least bytes of a key with its value, and of a tensor's record
_MOST_ITEMS = 1 << 22  # per array of metadata
_MOST_ALIGNMENT = 1 << 20
_LONGEST_NAME = 1 << 10
_ELEMENTS_AT_ONCE = 1 << 24  # bounds the float32 copies made while decoding a tensor


@dataclass(frozen=True)
class GgufTensor:
    """A stored tensor; its bytes are read on demand."""

    name: str
    shape: tuple[int, ...]
    """Slowest dimension first, as in torch."""
    kind: str
    """The storage type, such as "Q4_K"."""
    path: Path
    start: int
    """Offset of its first byte in the file."""
    row_bytes: int
    """Bytes per row of the last dimension."""

    @property
    def size(self) -> int:
        """Its bytes in the file."""
        return prod(self.shape[:-1]) * self.row_bytes

    def data(self) -> Bytes:
        """The quantised rows, uint8 [rows, bytes per row].

        Read, not mapped: truncating a mapped file would kill the process with a signal.
        """
        found = np.empty(self.size, dtype=np.uint8)
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                read = file.readinto(found.data)
        except OSError as error:
            raise DamagedFileError(f"{self.path} cannot be read: {error}", _AGAIN) from error
        if read != self.size:
            raise DamagedFileError(f"{self.path} was cut short while it was read", _AGAIN)
        return found.reshape(-1, self.row_bytes)

    def dense(self) -> Tensor:
        """float32 values [shape]."""
        kind = GGMLQuantizationType[self.kind]
        rows = self.data()
        step = max(1, _ELEMENTS_AT_ONCE // self.shape[-1])
        try:
            with np.errstate(all="ignore"):  # stored values may be infinite or NaN
                parts = [
                    torch.from_numpy(np.array(_decoded(rows[i : i + step], kind), dtype=np.float32))
                    for i in range(0, len(rows), step)
                ]
        except NotImplementedError as error:
            raise UnsupportedModelError(
                f"{shortened(self.name)}: tensors stored as {self.kind} are not supported",
                "use a file with another quantisation, such as Q4_K_M",
            ) from error
        return torch.cat(parts).reshape(self.shape)

    def part(self, index: int) -> GgufTensor:
        """The tensor at `index` of the first dimension."""
        shape, rows = self.shape[1:], prod(self.shape[1:-1])
        start = self.start + index * rows * self.row_bytes
        name = f"{self.name}[{index}]"
        return GgufTensor(name, shape, self.kind, self.path, start, self.row_bytes)


def _decoded(rows: Bytes, kind: GGMLQuantizationType) -> np.ndarray[Any, Any]:
    if kind.name in _PLAIN:
        return np.ascontiguousarray(rows).view(_PLAIN[kind.name])
    values: np.ndarray[Any, Any] = dequantize(rows, kind)
    return values


_PLAIN = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}


@dataclass(frozen=True)
class GgufFile:
    """The metadata and tensors of one file."""

    path: Path
    metadata: dict[str, Any]
    """Numbers, strings, numpy arrays of numbers, and lists of strings."""
    tensors: dict[str, GgufTensor]

    @classmethod
    def open(cls, path: Path) -> GgufFile:
        """Parse the file at `path`.

        Raises DamagedFileError for a truncated or foreign file, and UnsupportedModelError for an
        unknown version or storage type, or a split file.
        """
        reader = _Reader(path)
        tensor_count = reader.header()
        metadata: dict[str, Any] = {}
        for _ in range(reader.pairs):
            key = reader.name()
            if key in metadata:
                raise reader.damaged(f"it states {shortened(key)} twice")
            metadata[key] = reader.value(reader.number("<u4"))
        claims = Claims(metadata, str(path), _AGAIN)
        if claims.count("split.count", 1, least=0) > 1:
            raise UnsupportedModelError(
                f"{path.name} is one part of a split model",
                "merge its parts with llama-gguf-split --merge",
            )
        records = [reader.record() for _ in range(tensor_count)]
        start = reader.aligned(claims.count("general.alignment", 32, most=_MOST_ALIGNMENT))
        tensors = {record.name: reader.tensor(record, start) for record in records}
        if len(tensors) < tensor_count:
            raise reader.damaged("two tensors have the same name")
        reader.check_apart(list(tensors.values()))
        return cls(path, metadata, tensors)


@dataclass(frozen=True)
class _Record:
    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    offset: int


class _Reader:
    """A cursor over the file's bytes that never passes their end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.stat().st_size < 24:
                raise self.damaged("it is too short")
            self.bytes: Bytes = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{path} cannot be read: {error}", _AGAIN) from error
        self.place = 0
        self.pairs = 0

    def damaged(self, why: str) -> DamagedFileError:
        return DamagedFileError(f"{self.path} is not a complete GGUF file: {why}", _AGAIN)

    def header(self) -> int:
        """Check the magic number and the version; return the number of tensors."""
        if self.take(4).tobytes() != _MAGIC:
            raise self.damaged("it does not start with GGUF")
        version = self.number("<u4")
        if version not in (2, 3):
            raise UnsupportedModelError(
                f"{self.path}: GGUF version {version} is not supported",
                "convert the model to version 3, little-endian",
            )
        tensors = self.number("<u8")
        self.pairs = self.number("<u8")
        if self.pairs * _LEAST_PAIR + tensors * _LEAST_RECORD > len(self.bytes):
            raise self.damaged(f"it states {tensors:,} tensors and {self.pairs:,} values")
        return tensors

    def take(self, count: int) -> Bytes:
        end = self.place + count
        if end > len(self.bytes):
            raise self.damaged("it ends too early")
        taken = self.bytes[self.place : end]
        self.place = end
        return taken

    def number(self, kind: str) -> int:
        width = int(kind[-1])
        value: int = self.take(width).view(kind)[0].item()
        return value

    def string(self) -> str:
        return self.take(self.number("<u8")).tobytes().decode("utf-8", "replace")

    def name(self) -> str:
        length = self.number("<u8")
        if length > _LONGEST_NAME:
            raise self.damaged(f"it states a name of {length:,} bytes")
        return self.take(length).tobytes().decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array(self.number("<u4"), self.number("<u8"))
        if kind not in _NUMBERS:
            raise self.damaged(f"it holds a value of unknown type {kind}")
        value = self.take(int(_NUMBERS[kind][-1])).view(_NUMBERS[kind])[0].item()
        return bool(value) if kind == 7 else value

    def array(self, kind: int, count: int) -> Any:
        if count > _MOST_ITEMS:
            raise self.damaged(f"it states an array of {count:,} values")
        if kind in _NUMBERS:
            values = self.take(count * int(_NUMBERS[kind][-1])).view(_NUMBERS[kind]).copy()
            return values.astype(bool) if kind == 7 else values
        if kind == _STRING:
            return self.strings(count)
        raise self.damaged(f"it holds an array of values of type {kind}")

    def strings(self, count: int) -> list[str]:
        """Many strings, without numpy: vocabularies have hundreds of thousands."""
        view, place, end = self.bytes.data, self.place, len(self.bytes)
        found = []
        for _ in range(count):
            if place + 8 > end:
                raise self.damaged("it ends too early")
            (length,) = struct.unpack_from("<Q", view, place)
            place += 8
            if place + length > end:
                raise self.damaged("it ends too early")
            found.append(str(view[place : place + length], "utf-8", "replace"))
            place += length
        self.place = place
        return found

    def record(self) -> _Record:
        name = self.name()
        dimensions = self.number("<u4")
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise self.damaged(f"{shortened(name)} has {dimensions} dimensions")
        shape = tuple(self.number("<u8") for _ in range(dimensions))[::-1]
        stated, offset = self.number("<u4"), self.number("<u8")
        try:
            kind = GGMLQuantizationType(stated)
        except ValueError as error:
            raise UnsupportedModelError(
                f"{shortened(name)}: tensors of storage type {stated} are not supported",
                "use a file with another quantisation, such as Q4_K_M",
            ) from error
        return _Record(name, shape, kind, offset)

    def aligned(self, alignment: int) -> int:
        """Start of the tensor data: the next multiple of `alignment`."""
        return -(-self.place // alignment) * alignment

    def tensor(self, record: _Record, start: int) -> GgufTensor:
        block, size = GGML_QUANT_SIZES[record.kind]
        columns = record.shape[-1]
        if columns % block or not prod(record.shape):
            raise self.damaged(f"{shortened(record.name)} has the impossible shape {record.shape}")
        found = GgufTensor(
            record.name,
            record.shape,
            record.kind.name,
            self.path,
            start + record.offset,
            columns // block * size,
        )
        if found.start + found.size > len(self.bytes):
            raise self.damaged("it ends too early")
        return found

    def check_apart(self, tensors: list[GgufTensor]) -> None:
        """Raise DamagedFileError for tensors that share bytes.

        With shared bytes, a small file could hold a model of any size.
        """
        end = 0
        for tensor in sorted(tensors, key=lambda tensor: tensor.start):
            if tensor.start < end:
                raise self.damaged(f"{shortened(tensor.name)} overlaps another tensor")
            end = tensor.start + tensor.size
