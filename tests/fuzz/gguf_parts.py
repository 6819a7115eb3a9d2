"""GGUF files taken apart and put together again, so that any field of them can be wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

_FORMATS = {
    **{0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?"},
    **{10: "<Q", 11: "<q", 12: "<d"},
}
STRING, ARRAY = 8, 9
KINDS = (*_FORMATS, STRING, ARRAY)


@dataclass
class Pair:
    """A key and its value; of an array also the kind of its values."""

    key: bytes
    kind: int
    value: Any
    inner: int = 0
    length: int | None = None
    """Values that the file states an array to have, where that is not the truth."""


@dataclass
class Record:
    """A tensor's record and its bytes."""

    name: bytes
    shape: list[int]
    kind: int
    offset: int
    data: bytes = b""


@dataclass
class Parts:
    """All fields of a file."""

    pairs: list[Pair]
    records: list[Record]
    version: int = 3
    pair_count: int | None = None
    record_count: int | None = None
    alignment: int = 32
    tail: bytes = b""
    extra: dict[str, Any] = field(default_factory=dict)


def taken_apart(data: bytes) -> Parts:
    reader = _Reader(data)
    reader.place = 4
    version, records, pairs = (reader.number(kind) for kind in (4, 10, 10))
    parts = Parts([reader.pair() for _ in range(pairs)], [], version)
    parts.records = [reader.record() for _ in range(records)]
    start = -(-reader.place // 32) * 32
    ends = sorted([record.offset for record in parts.records])
    for record in parts.records:
        later = [end for end in ends if end > record.offset]
        record.data = data[start + record.offset : start + later[0] if later else len(data)]
    return parts


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def number(self, kind: int) -> Any:
        (value,) = struct.unpack_from(_FORMATS[kind], self.data, self.place)
        self.place += struct.calcsize(_FORMATS[kind])
        return value

    def string(self) -> bytes:
        length = self.number(10)
        self.place += length
        return self.data[self.place - length : self.place]

    def pair(self) -> Pair:
        key, kind = self.string(), self.number(4)
        if kind == STRING:
            return Pair(key, kind, self.string())
        if kind != ARRAY:
            return Pair(key, kind, self.number(kind))
        inner, length = self.number(4), self.number(10)
        read = self.string if inner == STRING else lambda: self.number(inner)
        return Pair(key, kind, [read() for _ in range(length)], inner)

    def record(self) -> Record:
        name = self.string()
        shape = [self.number(10) for _ in range(self.number(4))]
        return Record(name, shape, self.number(4), self.number(10))


def put_together(parts: Parts) -> bytes:
    """The bytes of a file with these fields, however wrong they are."""
    pairs = len(parts.pairs) if parts.pair_count is None else parts.pair_count
    records = len(parts.records) if parts.record_count is None else parts.record_count
    out = [b"GGUF", _number(4, parts.version), _number(10, records), _number(10, pairs)]
    out += [_pair(pair) for pair in parts.pairs]
    out += [_record(record) for record in parts.records]
    head = b"".join(out)
    start = -(-len(head) // parts.alignment) * parts.alignment
    end = max((r.offset + len(r.data) for r in parts.records if r.offset < 1 << 24), default=0)
    data = bytearray(start + end)
    data[: len(head)] = head
    for record in parts.records:
        if record.offset < 1 << 24:
            data[start + record.offset : start + record.offset + len(record.data)] = record.data
    return bytes(data) + parts.tail


def _number(kind: int, value: Any) -> bytes:
    code = _FORMATS[kind]
    if code in ("<f", "<d"):
        try:
            return struct.pack(code, float(value))
        except OverflowError:
            return struct.pack(code, float("inf"))
    size = struct.calcsize(code)
    whole = int(value) if value == value and abs(value) != float("inf") else -1
    return (whole % (1 << 8 * size)).to_bytes(size, "little")


def _string(value: bytes) -> bytes:
    return _number(10, len(value)) + value


def _value(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return _string(value if isinstance(value, bytes) else str(value).encode("utf-8", "replace"))
    if isinstance(value, bytes | list):
        value = len(value)
    return _number(kind, value) if kind in _FORMATS else b""


def _pair(pair: Pair) -> bytes:
    head = _string(pair.key) + _number(4, pair.kind)
    if pair.kind != ARRAY:
        return head + _value(pair.kind, pair.value)
    values = pair.value if isinstance(pair.value, list) else [pair.value]
    length = len(values) if pair.length is None else pair.length
    head += _number(4, pair.inner) + _number(10, length)
    if pair.inner == ARRAY:  # an array of arrays, one in each
        deep = _number(4, 4) + _number(10, 1) + _number(4, 7)
        return head + deep * len(values)
    return head + b"".join(_value(pair.inner, value) for value in values)


def _record(record: Record) -> bytes:
    shape = b"".join(_number(10, size) for size in record.shape)
    head = _string(record.name) + _number(4, len(record.shape)) + shape
    return head + _number(4, record.kind) + _number(10, record.offset)
