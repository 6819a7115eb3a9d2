"""Reply bodies from bytes to texts: whole documents, or server-sent events (HTML standard)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""UTF-8's byte order mark."""
_FIELDS = (b"data", b"event", b"id", b"retry", b":")


def begins_events(start: bytes) -> bool:
    """Whether a body's first bytes look like server-sent events, whatever its content type."""
    return start.startswith(_FIELDS)


@dataclass
class WholeBody:
    """A body that is one document."""

    most: int
    """Most bytes of the body."""
    _body: bytearray = field(default_factory=bytearray)

    @property
    def too_long(self) -> bool:
        """Whether the body exceeds its limit."""
        return len(self._body) > self.most

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Collect a chunk; no document is complete before the end."""
        self._body += chunk
        return iter(())

    def finish(self) -> Iterator[str]:
        """The whole document."""
        yield self._body.decode("utf-8", "replace")


@dataclass
class EventStream:
    """Parses server-sent events from chunks of any size. Only CR, LF and CRLF end a line."""

    most: int
    """Most bytes of an event."""
    _line: bytearray = field(default_factory=bytearray)
    """The current, unfinished line."""
    _data: list[bytes] = field(default_factory=list)
    """Data lines of the current, unfinished event."""
    _size: int = 0
    _returned: bool = False
    """Whether the last byte is a CR: a following LF ends no further line."""
    _begun: bool = False

    @property
    def too_long(self) -> bool:
        """Whether the unfinished event exceeds its limit."""
        return self._size > self.most

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of the events that end in this chunk."""
        if self._returned and chunk[:1] == b"\n":
            chunk, self._returned = chunk[1:], False
        if not chunk:
            return
        self._returned = chunk.endswith(b"\r")
        first, *others = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._add(first)
        for part in others:
            yield from self._end_line()
            self._add(part)

    def finish(self) -> Iterator[str]:
        """The data of an event that the stream's end cut off before its empty line."""
        if self._line:
            yield from self._end_line()
        yield from self._end_event()

    def _add(self, part: bytes) -> None:
        self._line += part
        self._size += len(part)

    def _end_line(self) -> Iterator[str]:
        line = bytes(self._line)
        self._line.clear()
        if not self._begun:
            line, self._begun = line.removeprefix(BYTE_ORDER_MARK), True
        if not line:
            yield from self._end_event()
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        else:  # comments, event names and ids are ignored
            self._size -= len(line)

    def _end_event(self) -> Iterator[str]:
        if self._data:
            yield b"\n".join(self._data).decode("utf-8", "replace")
        self._data.clear()
        self._size = 0
