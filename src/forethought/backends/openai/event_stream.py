"""Bodies of replies, bytes in and texts out: server-sent events as the HTML standard has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

MARK = b"\xef\xbb\xbf"
"""What UTF-8 may begin with."""
_FIELDS = (b"data", b"event", b"id", b"retry", b":")


def begins_events(start: bytes) -> bool:
    """Whether a body that begins so is a stream of events, whatever it is said to be."""
    return start.startswith(_FIELDS)


@dataclass
class WholeBody:
    """A body that is one document."""

    most: int
    """Bytes of it."""
    _body: bytearray = field(default_factory=bytearray)

    @property
    def too_long(self) -> bool:
        """Whether it is longer than it may be."""
        return len(self._body) > self.most

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Nothing yet."""
        self._body += chunk
        return iter(())

    def finish(self) -> Iterator[str]:
        """All of it."""
        yield self._body.decode("utf-8", "replace")


@dataclass
class EventStream:
    """Takes bytes in whatever pieces they come. Only CR, LF and CRLF end a line."""

    most: int
    """Bytes of an event."""
    _line: bytearray = field(default_factory=bytearray)
    """A line that has not ended."""
    _data: list[bytes] = field(default_factory=list)
    """The lines of an event that has not ended."""
    _size: int = 0
    _returned: bool = False
    """Whether the newest byte is a CR: an LF behind it ends no other line."""
    _begun: bool = False

    @property
    def too_long(self) -> bool:
        """Whether the event on its way is longer than events may be."""
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
        """The data of an event that the end of the stream cut off before its empty line."""
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
            line, self._begun = line.removeprefix(MARK), True
        if not line:
            yield from self._end_event()
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        else:  # comments, names and numbers of events are of no use here
            self._size -= len(line)

    def _end_event(self) -> Iterator[str]:
        if self._data:
            yield b"\n".join(self._data).decode("utf-8", "replace")
        self._data.clear()
        self._size = 0
