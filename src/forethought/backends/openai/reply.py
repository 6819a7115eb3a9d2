"""Takes in a server's reply within bounds: so many bytes, so many values, JSON or events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from forethought.backends.openai.errors import PassingError
from forethought.backends.openai.event_stream import MARK, EventStream, WholeBody, begins_events
from forethought.backends.openai.key_scrubber import Scrubber
from forethought.backends.openai.shape import ShapeError
from forethought.contracts.errors import RemoteError

_MIB = 1 << 20
_VALUES = 600_000
"""Values of a document, at most: as objects in memory they take about 200 bytes each."""
_START = len(b"event:")
"""Bytes by which it is seen what a body is."""
_ENDED = "[DONE]"


@dataclass(frozen=True)
class Size:
    """The most that a reply may hold."""

    document: int = 8 * _MIB
    """Bytes of one document or event."""
    stream: int = 8 * _MIB
    """Bytes of all of a stream."""

    @classmethod
    def of(cls, tokens: int) -> Size:
        """That of an answer: a streamed token comes in an envelope and with its alternatives."""
        return cls(min(8 * _MIB, _MIB + 1024 * tokens), _MIB + 16384 * tokens)


@dataclass
class Reply:
    """Bytes in, in whatever pieces they come; documents out, without the key.

    Each raises RemoteError for what is too large, and PassingError for what is no JSON.
    """

    base: str
    """The server's address, for errors."""
    scrub: Scrubber
    size: Size
    streamed: bool
    """Whether the server says that its body is a stream of events."""
    over: bool = False
    """Whether the server said that nothing more will come."""
    _held: bytes = b""
    """What came before it can be seen what the body is."""
    _body: EventStream | WholeBody | None = None
    _taken: int = 0

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The documents that end in this chunk."""
        self._taken += len(chunk)
        if self._body is None:
            chunk = self._begin(self._held + chunk, last=False)
        if self._body is not None:
            yield from self._documents(self._body.feed(chunk))
        self._check_size()

    def finish(self) -> Iterator[Any]:
        """The documents that the end of the body ends."""
        if self._body is None:
            yield from self.feed(self._begin(self._held, last=True))
        assert self._body is not None, "begun with its last byte"
        yield from self._documents(self._body.finish())

    def _begin(self, start: bytes, *, last: bool) -> bytes:
        """What came so far, once that tells what the body is."""
        start = start.removeprefix(MARK).lstrip()
        if len(start) < _START and not last:
            self._held = start
            return b""
        said = self.streamed and start[:1] not in (b"{", b"[")
        most = self.size.document
        self._body = EventStream(most) if said or begins_events(start) else WholeBody(most)
        return start

    def _check_size(self) -> None:
        long = self._body is not None and self._body.too_long
        most = self.size.document if long else self.size.stream
        if long or self._taken > most:
            raise RemoteError(
                f"{self.base} sent more than the {most:,} bytes that its reply can have",
                "check that it is the address of an OpenAI-compatible server",
            )

    def _documents(self, events: Iterator[str]) -> Iterator[Any]:
        for data in events:
            self.over = self.over or data.strip() == _ENDED
            if self.over:
                return
            yield from map(self.parsed, _apart(data))

    def parsed(self, text: str) -> Any:
        """The document that a text is, without the key."""
        if sum(map(text.count, ",[{")) > _VALUES:
            raise RemoteError(
                f"{self.base} sent a document of more than {_VALUES:,} values",
                "ask for fewer tokens, or check the address",
            )
        try:
            return self.scrub.document(json.loads(text))
        except ShapeError as error:
            raise RemoteError(
                f"{self.base} sent what is no answer: {error}", "check the address"
            ) from None
        except (ValueError, RecursionError):  # a number of thousands of digits is a ValueError
            said = " ".join(self.scrub.text(text[:1000]).split())[:80]
            shown = f": {said}" if said else ""
            raise PassingError(
                f"{self.base} sent what is no JSON{shown}", "check the address"
            ) from None


def _apart(data: str) -> list[str]:
    """The documents of an event; some servers put one on each of its lines."""
    lines = [line for line in data.split("\n") if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith(("{", _ENDED)) for line in lines):
        try:
            json.loads(data)
        except (ValueError, RecursionError):
            return [line for line in lines if line.strip() != _ENDED]
    return [data] if lines else []
